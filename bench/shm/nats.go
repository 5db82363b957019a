// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// natsServer is the role of the process that only serves.
const natsServer = "nats-server"

// patience is how long anything of NATS may take.
const patience = time.Minute

// serveNATS serves on a port of the kernel's choice until stdin ends, and
// leaves its address in the directory. Nothing is dropped: the limits on what
// is pending are out of reach.
func serveNATS(s side) error {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, MaxPending: 4 << 30, WriteDeadline: patience})
	if err != nil {
		return err
	}
	srv.Start()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(patience) {
		return errors.New("the NATS server did not start")
	}
	if err := os.WriteFile(s.natsFile(), []byte(srv.ClientURL()), 0o600); err != nil {
		return err
	}
	if _, err := fmt.Println("up"); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// natsFile has the server's address; each number of readers has a server.
func (s side) natsFile() string { return s.path(fmt.Sprintf("nats-%d", s.readers)) }

// natsPair is a side of it: the left publishes to all rights, each of which
// publishes to the left.
type natsPair struct {
	nc      *nats.Conn
	sub     *nats.Subscription
	to      string
	bytes   []byte
	answers int // for each of ours
}

func natsRole(_ context.Context, s side) (party.Runner, error) {
	url, err := os.ReadFile(s.natsFile())
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(string(url))
	if err != nil {
		return nil, err
	}
	p := &natsPair{nc: nc, to: "left", bytes: make([]byte, 1<<20), answers: 1}
	from := "right"
	if s.left {
		p.to, from, p.answers = from, p.to, s.readers
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
		if _, err := p.sub.NextMsg(patience); err != nil {
			return 0, err
		}
	}
	m, err := p.sub.NextMsg(patience)
	if err != nil {
		return 0, err
	}
	return len(m.Data), nil
}
