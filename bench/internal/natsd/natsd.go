// SPDX-License-Identifier: Apache-2.0

// Package natsd is a NATS server in a process of its own, for benchmarks.
package natsd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// Name is the role of the server.
const Name = "nats-server"

// Patience is how long anything of NATS may take.
const Patience = time.Minute

// Beside adds a server to a subject whose processes play sides.
func Beside(s party.Subject, dir string) party.Subject {
	n := len(s.Specs) - 1
	s.Extra = 1
	s.Specs = append([]party.Spec{party.Again(party.Side{Name: Name, Dir: dir, Readers: n})}, s.Specs...)
	return s
}

// URL is where the server of a side is.
func URL(s party.Side) (string, error) {
	b, err := os.ReadFile(file(s))
	return string(b), err
}

// file has the server's address; each number of readers has a server.
func file(s party.Side) string { return s.Path(fmt.Sprintf("nats-%d", s.Readers)) }

// Serve is the role: it serves on a port of the kernel's choice until stdin
// ends. Nothing is dropped: the limits on what is pending are out of reach.
func Serve(_ context.Context, s party.Side) (party.Runner, error) {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, MaxPayload: 8 << 20, MaxPending: 4 << 30, WriteDeadline: Patience})
	if err != nil {
		return nil, err
	}
	srv.Start()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(Patience) {
		return nil, errors.New("the NATS server did not start")
	}
	if err := os.WriteFile(file(s), []byte(srv.ClientURL()), 0o600); err != nil {
		return nil, err
	}
	if _, err := fmt.Println("up"); err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return nil, err
}
