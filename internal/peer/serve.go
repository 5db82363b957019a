// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
)

// Run is the child: it plays role until it has done so, ctx ends, or control,
// its stdin, does.
func Run(ctx context.Context, role Role, control io.Reader, events io.Writer) error {
	tell := teller(events)
	if role.Address == "stdio:" { // they are the connection
		return Serve(ctx, role, func(Event) {})
	}
	if role.Plugin {
		return servePlugin(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Not waited for: nothing ends a read of stdin, and the process ends next.
	go func() {
		_, _ = io.Copy(io.Discard, control)
		cancel()
	}()
	if role.Calls {
		return serveCalls(ctx, role, tell)
	}
	if role.Intruder {
		tell(Event{What: Tried, Refusal: Intrude(ctx, role.dial)})
		return nil
	}
	if role.Turn != nil {
		return runTurn(ctx, *role.Turn, tell)
	}
	if role.Topic != nil {
		return runTopic(ctx, role, tell)
	}
	return Serve(ctx, role, tell)
}

// teller writes events from any goroutine. A parent that does not read them
// has gone, which the end of stdin tells, too.
func teller(w io.Writer) func(Event) {
	var mu sync.Mutex
	out := json.NewEncoder(w)
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(e)
	}
}

// Serve listens as role says and answers each connection until ctx ends or,
// on stdio:, its only connection has.
func Serve(ctx context.Context, role Role, tell func(Event)) error {
	ln, err := role.listen(ctx, tell)
	if ctx.Err() != nil && fault.KindOf(err) == fault.Canceled {
		return nil // asked to end before it listened
	}
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }()
	tell(Event{What: Listening, Address: ln.Address().String()})
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := ln.AcceptConn(ctx)
		if ctx.Err() != nil || fault.KindOf(err) == fault.Closed {
			return nil
		}
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer func() { _ = conn.Close() }()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			_ = Answer(conn) // the other side sees it, too, and tells
		})
	}
}

func (r Role) listen(ctx context.Context, tell func(Event)) (transport.Listener, error) {
	rules, err := policy.New(r.Rules, policy.Options{})
	if err != nil {
		return nil, err
	}
	lc := parley.ListenConfig{TLS: r.tls(), SHM: shm.Options{Spin: r.Spin}}
	lc.Authorizer = auth.AuthorizerFunc(func(ctx context.Context, id auth.Identity, action auth.Action, resource string) error {
		err := rules.Authorize(ctx, id, action, resource)
		if errors.Is(err, fault.Denied) {
			tell(Event{What: Denied, Who: id.String(), Method: string(id.Method)})
		}
		return err
	})
	return lc.Listen(ctx, r.Address)
}

func (r Role) dial(ctx context.Context) (transport.Conn, error) {
	addr, err := endpoint.Parse(r.Address)
	if err != nil {
		return nil, err
	}
	return r.dialAddress(ctx, addr)
}

func (r Role) dialAddress(ctx context.Context, addr endpoint.Address) (transport.Conn, error) {
	d := parley.Dialer{TLS: r.tls(), SHM: shm.Options{Spin: r.Spin}, AllowExec: true}
	return d.DialAddress(ctx, addr)
}
