// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// TestReceiveCancelledAnywhereLosesNothing cuts the waiting off after each
// single byte of the stream.
func TestReceiveCancelledAnywhereLosesNothing(t *testing.T) {
	r := &recorder{}
	w := NewConn(r, Config{})
	big := make([]byte, 300)
	for _, p := range [][]byte{[]byte("one"), nil, big} {
		if err := w.Send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		x, y := net.Pipe()
		b := NewConn(plain{y}, Config{})
		go func() { _, _ = io.Copy(io.Discard, x) }()
		var got []string
		var last error
		for i := range r.out {
			last = untilCancelled(t, b, x, r.out[i:i+1], &got)
		}
		wantErr(t, last, io.EOF)
		if len(got) != 3 || got[0] != "one" || got[1] != "" || got[2] != string(big) {
			t.Fatalf("got %d messages: %.80q", len(got), got)
		}
		_ = b.Close()
		_ = x.Close()
	})
}

// untilCancelled writes p, receives until nothing more can come of it, and
// cancels.
func untilCancelled(t *testing.T, b *Conn, x io.Writer, p []byte, got *[]string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	go func() { _, _ = x.Write(p) }()
	for {
		m, err := b.Receive(ctx)
		if err == nil {
			*got = append(*got, string(m.Bytes()))
			m.Release()
			continue
		}
		if !errors.Is(err, io.EOF) {
			wantErr(t, err, context.DeadlineExceeded, fault.Timeout)
		}
		return err
	}
}

func TestContextIsWatchedBetweenCalls(t *testing.T) {
	a, b := pair(t, Config{})
	for range 3 {
		ctx, cancel := context.WithCancelCause(t.Context())
		for range 3 { // the second time on it stays watched
			send(t, a, "x")
			m, err := b.Receive(ctx)
			if err != nil {
				t.Fatal(err)
			}
			m.Release()
		}
		why := errors.New("enough")
		cancel(why)
		_, err := b.Receive(ctx)
		wantErr(t, err, fault.Canceled, why)
		wantErr(t, a.Send(ctx, nil), fault.Canceled, why)
	}
	send(t, a, "y")
	wantReceive(t, b, "y")
}

func TestSendCancelledMidFrame(t *testing.T) {
	x, y := net.Pipe()
	a := conn(t, plain{x}, Config{Linger: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 1)
	go func() { errs <- a.Send(ctx, make([]byte, 100)) }()
	if _, err := io.ReadFull(y, make([]byte, 50)); err != nil { // it is in the middle now
		t.Fatal(err)
	}
	cancel()
	wantErr(t, <-errs, fault.Canceled)
	wantErr(t, a.Send(t.Context(), []byte("more")), fault.Closed)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(y); err != nil || len(rest) != 0 {
		t.Fatalf("%q came after half a frame, %v", rest, err)
	}
}

func TestSendCancelledBeforeItsFirstByte(t *testing.T) {
	x, y := net.Pipe()
	a, b := conn(t, plain{x}, Config{Linger: time.Millisecond}), conn(t, plain{y}, Config{Linger: time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	wantErr(t, a.Send(ctx, []byte("nobody reads this")), fault.Timeout)
	errs := make(chan error, 1)
	go func() { errs <- a.Send(background(t), []byte("second")) }()
	wantReceive(t, b, "second")
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
}

func TestWaitingForTheLockIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := net.Pipe()
		a := NewConn(plain{x}, Config{Linger: time.Millisecond})
		blocked := make(chan error, 2)
		go func() { blocked <- a.Send(context.Background(), []byte("nobody reads")) }()
		go func() { _, err := a.Receive(context.Background()); blocked <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		wantErr(t, a.Send(ctx, nil), fault.Timeout)
		_, err := a.Receive(ctx)
		wantErr(t, err, fault.Timeout)
		wantErr(t, a.CloseWrite(ctx), fault.Timeout)
		_ = y.Close()
		wantErr(t, <-blocked, fault.PeerDied)
		wantErr(t, <-blocked, fault.PeerDied)
		_ = a.Close()
	})
}
