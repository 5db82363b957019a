// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/message/frame"
	"github.com/parley-ipc/parley/transport"
)

// frames are round trips in place by pools of frames, one each way.
type frames struct {
	ctx  context.Context
	pool *frame.Pool
	out  *frame.Link
	in   *frame.Receiver
}

func frameRole(ctx context.Context, s party.Side) (party.Runner, error) {
	var ways [2]func() (transport.Conn, error) // the first is the left's to lend
	for i, name := range []string{"frames-left", "frames-right"} {
		var err error
		if ways[i], err = meet(ctx, s, "shm://"+s.Path(name+".sock")); err != nil {
			return nil, err
		}
	}
	run := duplexRunner(s, func() (duplex, error) {
		f := &frames{ctx: ctx}
		var err error
		if f.pool, err = frame.NewPool("bench", frame.Config{Size: 1 << 20}); err != nil {
			return nil, err
		}
		for i, way := range ways {
			t, err := way()
			if err != nil {
				return nil, err
			}
			if (i == 0) != s.Left {
				f.in = frame.NewReceiver(t, frame.ReceiverConfig{})
			} else if f.out, err = f.pool.Attach(t); err != nil {
				return nil, err
			}
		}
		return f, nil
	})
	return func(c party.Command) (party.Figures, error) {
		c.Op = opTrip
		return run(c)
	}, nil
}

func (f *frames) send(size int) error {
	own, err := f.pool.Take(f.ctx)
	if err != nil {
		return err
	}
	defer own.Release()
	own.Bytes()[0]++
	if err := f.out.Room(f.ctx); err != nil {
		return err
	}
	return f.out.Send(own, size, nil)
}

func (f *frames) sendMany(size, n int) error {
	for range n {
		if err := f.send(size); err != nil {
			return err
		}
	}
	return nil
}

func (f *frames) receive() (int, error) {
	v, err := f.in.Receive(f.ctx)
	if err != nil {
		return 0, err
	}
	n := len(v.Bytes())
	return n, v.Release(f.ctx)
}
