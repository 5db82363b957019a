// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/primitive/broadcast"
	"github.com/parley-ipc/parley/primitive/shm"
)

// castRing is that of a topic by default. It is large enough for records of
// 1 MiB, and small enough to stay in a cache.
const castRing = 4 << 20

// patience is how long a publisher waits for a reader that the machine starves.
const patience = time.Minute

// cast is a side of broadcasts: the left publishes to each right, and each
// right may publish to the left. Descriptors travel over a message connection,
// and so do confirmations.
type cast struct {
	ctx   context.Context
	peers []*message.Conn
	out   *broadcast.Publisher
	in    []*broadcast.Subscriber
	bytes []byte
	many  bool
	spin  broadcast.Spin
}

func broadcastRole(many bool) party.Role {
	return func(ctx context.Context, s party.Side) (party.Runner, error) {
		name := "cast"
		if many {
			name = "cast-many"
		}
		connect, err := meetAll(ctx, s, name)
		if err != nil {
			return nil, err
		}
		c := &cast{ctx: ctx, many: many, bytes: make([]byte, 1<<20)}
		if many {
			return duplexRunner(s, func() (duplex, error) { return runs{c}, connect(c) }), nil
		}
		return duplexRunner(s, func() (duplex, error) { return c, connect(c) }), nil
	}
}

// meetAll has each right listen, and gives what connects everybody.
func meetAll(ctx context.Context, s party.Side, name string) (func(*cast) error, error) {
	address := func(i int) string { return "unix://" + s.Path(fmt.Sprintf("%s-%d.sock", name, i)) }
	if !s.Left {
		accept, err := meet(ctx, s, address(s.Index))
		if err != nil {
			return nil, err
		}
		return func(c *cast) error {
			t, err := accept()
			if err != nil {
				return err
			}
			c.peers = []*message.Conn{message.NewConn(t, message.Config{})}
			return c.exchange(false)
		}, nil
	}
	return func(c *cast) error {
		for i := range s.Readers {
			dial, err := meet(ctx, s, address(i))
			if err != nil {
				return err
			}
			t, err := dial()
			if err != nil {
				return err
			}
			c.peers = append(c.peers, message.NewConn(t, message.Config{}))
		}
		return c.exchange(true)
	}, nil
}

// exchange makes the publishers and subscribes everybody to everybody else.
func (c *cast) exchange(left bool) (err error) {
	if c.out, err = broadcast.NewPublisher(broadcast.Config{Ring: castRing}); err != nil {
		return err
	}
	for _, peer := range c.peers {
		steps := []func(*message.Conn) error{c.offer, c.subscribe}
		if !left {
			steps[0], steps[1] = steps[1], steps[0]
		}
		for _, step := range steps {
			if err := step(peer); err != nil {
				return err
			}
		}
	}
	return nil
}

// offer lets the peer subscribe to us.
func (c *cast) offer(peer *message.Conn) error {
	if err := sendFile(c.ctx, peer, c.out.Segment()); err != nil {
		return err
	}
	fd, err := receiveFile(c.ctx, peer)
	if err != nil {
		return err
	}
	_, err = c.out.Attach(fd, broadcast.Terms{Policy: broadcast.Reliable, Patience: patience})
	return err
}

// subscribe subscribes us to the peer.
func (c *cast) subscribe(peer *message.Conn) error {
	fd, err := receiveFile(c.ctx, peer)
	if err != nil {
		return err
	}
	sub, err := broadcast.Subscribe(fd, castRing, broadcast.SubscribeConfig{Policy: broadcast.Reliable, Spin: c.spin})
	if err != nil {
		return err
	}
	c.in = append(c.in, sub)
	return sendFile(c.ctx, peer, sub.Control())
}

func sendFile(ctx context.Context, peer *message.Conn, s *shm.Segment) error {
	fd, err := unix.FcntlInt(uintptr(s.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "segment")
	defer f.Close()
	return peer.SendFiles(ctx, []byte("segment"), []*os.File{f})
}

func receiveFile(ctx context.Context, peer *message.Conn) (int, error) {
	m, err := peer.Receive(ctx)
	if err != nil {
		return -1, err
	}
	defer m.Release()
	files := m.Files()
	if len(files) != 1 {
		return -1, fmt.Errorf("%d files came, want 1", len(files))
	}
	defer files[0].Close()
	return unix.FcntlInt(files[0].Fd(), unix.F_DUPFD_CLOEXEC, 0)
}

// send confirms: on the right, over the connection.
func (c *cast) send(size int) error { return c.peers[0].Send(c.ctx, c.bytes[:size]) }

func (c *cast) sendMany(size, n int) error {
	if !c.many {
		for range n {
			if err := c.out.Publish(c.ctx, c.bytes[:size]); err != nil {
				return err
			}
		}
		return nil
	}
	items := make([][]byte, batch)
	for i := range items {
		items[i] = c.bytes[i*size : (i+1)*size]
	}
	for ; n > 0; n -= batch {
		if _, err := c.out.PublishBatch(c.ctx, items[:min(n, batch)]); err != nil {
			return err
		}
	}
	return nil
}

// receive takes a record on the right, everybody's confirmation on the left.
func (c *cast) receive() (size int, err error) {
	if len(c.peers) == 1 {
		rec, lost, err := c.in[0].Next(c.ctx)
		if err == nil && lost > 0 {
			err = fmt.Errorf("%d records lost", lost)
		}
		return len(rec.Bytes), err
	}
	for _, peer := range c.peers {
		m, err := peer.Receive(c.ctx)
		if err != nil {
			return 0, err
		}
		size = len(m.Bytes())
		m.Release()
	}
	return size, nil
}

// runs is a cast whose subscribers read as their publisher writes: many at a
// time.
type runs struct{ *cast }

// drain takes records until there were n of them.
func (r runs) drain(size, n int) error {
	for n > 0 {
		run, lost, err := r.in[0].NextRun(r.ctx)
		if err != nil {
			return err
		}
		if lost > 0 {
			return fmt.Errorf("%d records lost", lost)
		}
		for ; n > 0; n-- {
			got, _, whole := run.Head()
			if !whole {
				break
			}
			if b := run.Body(got); len(b) != size {
				return fmt.Errorf("a record of %d bytes, want %d", len(b), size)
			}
			run = run.Skip(got)
		}
		r.in[0].Keep(run)
	}
	return nil
}

// loans are round trips in place, over one broadcast each way. Subscribers
// poll, as iceoryx's do: waking them is not the primitive's business.
type loans struct{ cast }

func loanRole(ctx context.Context, s party.Side) (party.Runner, error) {
	connect, err := meetAll(ctx, s, "loan")
	if err != nil {
		return nil, err
	}
	l := &loans{cast{ctx: ctx, spin: broadcast.Always}}
	run := duplexRunner(s, func() (duplex, error) { return l, connect(&l.cast) })
	return func(c party.Command) (party.Figures, error) {
		c.Op = opTrip
		return run(c)
	}, nil
}

func (l *loans) send(size int) error {
	b, err := l.out.Loan(l.ctx, size)
	if err != nil {
		return err
	}
	b[0]++
	return l.out.Commit(size)
}

func (l *loans) receive() (int, error) {
	rec, _, err := l.in[0].Borrow(l.ctx)
	if err != nil {
		return 0, err
	}
	n := len(rec.Bytes)
	if !l.in[0].Release() {
		err = fmt.Errorf("record %d was overwritten while it was borrowed", rec.Seq)
	}
	return n, err
}
