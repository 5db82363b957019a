// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/transport"
)

// exchanged is how many bytes go each way.
const exchanged = 8 << 20

// bytesBothWays: what each side sends at the same time arrives whole, then
// its end.
func bytesBothWays(ctx context.Context, sc *scene) (finding, error) {
	err := sc.with(ctx, func(conn transport.Conn) error { return peer.Exchange(conn, exchanged) })
	return finding{"identical", map[string]any{"bytes_each_way": exchanged}}, err
}

// files: an open file arrives as one, and another comes back.
func files(ctx context.Context, sc *scene) (finding, error) {
	err := sc.with(ctx, func(conn transport.Conn) error {
		err := peer.PassFiles(conn)
		if fault.KindOf(err) == fault.Unsupported {
			// The listener must have known us before we go: a tcp peer that
			// has gone is nobody.
			_, askErr := peer.AskWho(conn)
			err = errors.Join(err, askErr)
		}
		return err
	})
	return finding{"arrived", nil}, err
}

// with runs work on a new connection, which ends when ctx does.
func (sc *scene) with(ctx context.Context, work func(transport.Conn) error) error {
	conn, err := sc.peer.Dial(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err = work(conn)
	_ = conn.Close()
	return err
}
