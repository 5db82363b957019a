// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Send sends p as one message and returns when the transport has taken it. p
// is only read, and the caller's again at once. If ctx ends after a part was
// written the connection can send no more: later Sends say so with
// fault.Closed, receiving goes on, and the peer sees a cut connection when
// this one is closed.
func (c *Conn) Send(ctx context.Context, p []byte) error {
	if len(p) <= c.maxFrame && ctx.Err() == nil && c.framer.WriteFrame(ctx, &c.w.open, plainTag, p) {
		return nil
	}
	return c.send(ctx, [][]byte{p}, nil)
}

// SendBatch sends each of ps as a message, published together and with no
// other message between them. If it fails, the peer may have received any
// number of them.
func (c *Conn) SendBatch(ctx context.Context, ps [][]byte) error {
	if ps = ps[c.w.quick(ctx, ps):]; len(ps) == 0 {
		return nil
	}
	return c.send(ctx, ps, nil)
}

// SendFiles is Send with at most transport.MaxFiles open files, of which the
// peer gets duplicates. It is fault.Unsupported on a transport that is no
// transport.FilePasser.
func (c *Conn) SendFiles(ctx context.Context, p []byte, files []*os.File) error {
	if c.w.passer == nil && len(files) > 0 {
		return c.noFiles()
	}
	if len(files) > transport.MaxFiles {
		return fault.New(fault.TooLarge, "send", c.addr(), fmt.Errorf("%d files in one message, at most %d are allowed", len(files), transport.MaxFiles))
	}
	return c.send(ctx, [][]byte{p}, files)
}

func (c *Conn) noFiles() error {
	return fault.New(fault.Unsupported, "send", c.addr(), errors.New("this transport carries no files: use unix, shm, or exec with ?parley=true"))
}

func (c *Conn) send(ctx context.Context, ps [][]byte, files []*os.File) error {
	for _, p := range ps {
		if len(p) > c.cfg.MaxSize {
			return c.tooLarge("send", len(p))
		}
	}
	if len(ps) == 0 {
		return nil
	}
	if ended(ctx) || !c.w.lock.acquire(ctx, c.closed) {
		return c.gaveUp(ctx, "send")
	}
	err := c.w.messages(ctx, ps, files)
	c.w.lock.release()
	if err != nil {
		return c.explain(err)
	}
	return nil
}

func ended(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}
