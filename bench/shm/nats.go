// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/parley-ipc/parley/bench/internal/natsd"
	"github.com/parley-ipc/parley/bench/internal/party"
)

// natsPair is a side of it: the left publishes to all rights, each of which
// publishes to the left.
type natsPair struct {
	nc      *nats.Conn
	sub     *nats.Subscription
	to      string
	bytes   []byte
	answers int // for each of ours
}

func natsRole(_ context.Context, s party.Side) (party.Runner, error) {
	url, err := natsd.URL(s)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	p := &natsPair{nc: nc, to: "left", bytes: make([]byte, 1<<20), answers: 1}
	from := "right"
	if s.Left {
		p.to, from, p.answers = from, p.to, s.Readers
	}
	if p.sub, err = nc.SubscribeSync(from); err != nil {
		return nil, err
	}
	if err := p.sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	if err := nc.Flush(); err != nil {
		return nil, err
	}
	return duplexRunner(s, func() (duplex, error) { return p, nil }), nil
}

func (p *natsPair) send(size int) error { return p.nc.Publish(p.to, p.bytes[:size]) }

func (p *natsPair) sendMany(size, n int) error {
	for range n {
		if err := p.send(size); err != nil {
			return err
		}
	}
	return nil
}

func (p *natsPair) receive() (int, error) {
	for range p.answers - 1 {
		if _, err := p.sub.NextMsg(natsd.Patience); err != nil {
			return 0, err
		}
	}
	m, err := p.sub.NextMsg(natsd.Patience)
	if err != nil {
		return 0, err
	}
	return len(m.Data), nil
}
