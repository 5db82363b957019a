// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/primitive/shm"
	"github.com/parley-ipc/parley/transport"
)

// batch is how many messages one SendBatch or PublishBatch takes.
const batch = 64

// messages is a message connection, as it comes.
type messages struct {
	ctx   context.Context
	conn  *message.Conn
	many  bool // SendBatch
	bytes []byte
	next  int
	came  []int // with many: sizes of messages received and not yet asked for
}

func messageRole(scheme string, many bool) party.Role {
	return func(ctx context.Context, s party.Side) (party.Runner, error) {
		name := scheme
		if many {
			name += "-many"
		}
		connect, err := meet(ctx, s, scheme+"://"+s.Path(name+".sock"))
		if err != nil {
			return nil, err
		}
		m := &messages{ctx: ctx, many: many, bytes: make([]byte, 1<<20)}
		dup := duplexRunner(s, func() (duplex, error) {
			t, err := connect()
			if err != nil {
				return nil, err
			}
			m.conn = message.NewConn(t, message.Config{})
			return m, nil
		})
		return func(c party.Command) (party.Figures, error) {
			switch c.Op {
			case opMemory:
				return m.memory(s, c)
			case opTouch, opSeal:
				return prepare(s, c)
			}
			return dup(c)
		}, nil
	}
}

// meet listens on the right; the connection is made when it is first wanted.
func meet(ctx context.Context, s party.Side, address string) (func() (transport.Conn, error), error) {
	if s.Left {
		return func() (transport.Conn, error) { return parley.Dial(ctx, address) }, nil
	}
	ln, err := parley.Listen(ctx, address)
	if err != nil {
		return nil, err
	}
	return func() (transport.Conn, error) { return ln.AcceptConn(ctx) }, nil
}

func (m *messages) send(size int) error { return m.conn.Send(m.ctx, m.bytes[:size]) }

func (m *messages) sendMany(size, n int) error {
	if !m.many {
		for range n {
			if err := m.send(size); err != nil {
				return err
			}
		}
		return nil
	}
	items := make([][]byte, batch)
	for i := range items {
		items[i] = m.bytes[:size] // the same each time, as in C
	}
	for ; n > 0; n -= batch {
		if err := m.conn.SendBatch(m.ctx, items[:min(n, batch)]); err != nil {
			return err
		}
	}
	return nil
}

func (m *messages) receive() (int, error) {
	if m.many {
		return m.receiveMany()
	}
	r, err := m.conn.Receive(m.ctx)
	if err != nil {
		return 0, err
	}
	n := len(r.Bytes())
	r.Release()
	return n, nil
}

// receiveMany takes all that has arrived at one go.
func (m *messages) receiveMany() (int, error) {
	if m.next == len(m.came) {
		m.came, m.next = m.came[:0], 0
		_, err := m.conn.Each(m.ctx, func(r *message.Message) error {
			m.came = append(m.came, len(r.Bytes()))
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	m.next++
	return m.came[m.next-1], nil
}

// memory hands over sealed memory again and again; the right checks it and
// answers.
func (m *messages) memory(s party.Side, c party.Command) (party.Figures, error) {
	if !s.Left {
		for range c.Count {
			r, err := m.conn.Receive(m.ctx)
			if err != nil {
				return nil, err
			}
			if got := r.Memory(); got == nil || got.Size() != c.Size || got.Close() != nil {
				return nil, fmt.Errorf("no memory of %d bytes came", c.Size)
			}
			r.Release()
			if err := m.send(1); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	sealed, _, _, err := sealedMemory(c.Size)
	if err != nil {
		return nil, err
	}
	defer sealed.Close()
	return party.Trips(c, func() error {
		if err := m.conn.SendMemory(m.ctx, sealed, nil); err != nil {
			return err
		}
		return want(m, 1)
	})
}

// prepare times what comes before: the left's first touch, or the sealing.
func prepare(s party.Side, c party.Command) (party.Figures, error) {
	if !s.Left {
		return nil, nil
	}
	sealed, touch, seal, err := sealedMemory(c.Size)
	if err != nil {
		return nil, err
	}
	defer sealed.Close()
	if c.Op == opTouch {
		return party.Figures{party.Time: float64(touch)}, nil
	}
	return party.Figures{party.Time: float64(seal)}, nil
}

func sealedMemory(size int) (m *shm.Memory, touch, seal time.Duration, err error) {
	if m, err = shm.NewMemory("bench", size); err != nil {
		return nil, 0, 0, err
	}
	b, err := m.Bytes()
	if err != nil {
		return nil, 0, 0, err
	}
	start := time.Now()
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	touch = time.Since(start)
	start = time.Now()
	err = m.Seal()
	return m, touch, time.Since(start), err
}
