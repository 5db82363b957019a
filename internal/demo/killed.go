// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/transport"
)

const (
	talkTime  = 10 * time.Millisecond // before the peer is killed
	noticeMax = 5 * time.Second       // for us to notice, on the busiest machine
)

// killed: the peer dies in mid-conversation, our wait ends with an error, and
// its name can be listened on at once.
func killed(ctx context.Context, sc *scene) (f finding, err error) {
	err = sc.with(ctx, func(conn transport.Conn) (err error) {
		f, err = sc.kill(ctx, conn)
		return err
	})
	if err != nil {
		return f, err
	}
	if err := sc.peer.Restart(ctx); err != nil {
		return f, err
	}
	return f, sc.with(ctx, func(conn transport.Conn) error {
		_, err := peer.AskWho(conn)
		return err
	})
}

func (sc *scene) kill(ctx context.Context, conn transport.Conn) (finding, error) {
	client, err := peer.Measure(conn)
	if err != nil {
		return finding{}, err
	}
	if _, err := client.RoundTrips(ctx, measure.Trips{Size: messageSize, For: talkTime}); err != nil {
		return finding{}, err
	}
	type end struct {
		at  time.Time
		err error
	}
	ended := make(chan end, 1)
	ctx, cancel := context.WithTimeout(ctx, noticeMax)
	defer cancel()
	go func() {
		_, err := client.RoundTrips(ctx, measure.Trips{Size: messageSize, For: checkTime})
		ended <- end{time.Now(), err}
	}()
	killed := time.Now()
	if err := sc.peer.Kill(); err != nil {
		cancel()
		<-ended
		return finding{}, err
	}
	e := <-ended
	took := e.at.Sub(killed)
	f := finding{fmt.Sprintf("%s after %s ms", word(e.err), milliseconds(took)), map[string]any{"noticed_ns": took, "error": fmt.Sprint(e.err)}}
	if e.err == nil || ctx.Err() != nil {
		return f, fmt.Errorf("nobody noticed within %v: %w", noticeMax, e.err)
	}
	return f, nil
}

// word is what a program would find our error to be.
func word(err error) string {
	switch kind := fault.KindOf(err); {
	case kind != fault.Other:
		return kind.Error()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "cut off"
	case errors.Is(err, io.EOF):
		return "end of stream"
	}
	return "error"
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1e3) }
