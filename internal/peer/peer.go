// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/transport"
)

var loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}

// Peer is a listener in another process, for inproc: in a goroutine, for
// exec: a program to start at each Dial.
type Peer struct {
	stage  *Stage
	scheme endpoint.Scheme
	listen Role // what it was started for
	client Role // how we dial it
	addr   endpoint.Address

	proc *process     // nil for inproc and exec
	told <-chan Event // by proc or, inproc, by the goroutine; nil for exec
	stop func()       // inproc: ends the goroutine and waits for it

	mu    sync.Mutex
	child transport.Conn // exec: the last one dialled. Guarded by mu
}

// Start starts a peer that listens by scheme. rules are its policy; nil admits
// us and nobody else.
func (s *Stage) Start(ctx context.Context, scheme endpoint.Scheme, rules []policy.Rule) (*Peer, error) {
	p := &Peer{stage: s, scheme: scheme}
	p.listen.Spin, p.client.Spin = s.Spin, s.Spin
	var err error
	if p.listen.Address, err = s.address(scheme, rules != nil); err != nil {
		return nil, err
	}
	if scheme == endpoint.TLS {
		if p.listen, err = s.as(p.listen, "server"); err == nil {
			p.client, err = s.as(p.client, "client")
		}
		if rules == nil {
			rules = []policy.Rule{{Who: []string{ClientName}, May: []auth.Action{auth.Connect}, On: []string{"endpoint:tls://**"}}}
		}
	}
	p.listen.Rules = rules
	if err == nil {
		err = p.run(ctx)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// address is where a peer listens. A second one by the same scheme, for a
// policy of its own, stands beside the first.
func (s *Stage) address(scheme endpoint.Scheme, second bool) (string, error) {
	name := "demo"
	if second {
		name = "other"
	}
	switch scheme {
	case endpoint.Inproc:
		return "inproc://" + name + "-" + filepath.Base(s.dir), nil
	case endpoint.SHM, endpoint.Unix, endpoint.FIFO:
		return string(scheme) + "://" + filepath.Join(s.dir, name+"."+string(scheme)), nil
	case endpoint.TCP, endpoint.TLS:
		return string(scheme) + "://127.0.0.1:0", nil
	case endpoint.Exec:
		return "stdio:", nil
	case endpoint.Stdio, endpoint.Mem:
	}
	return "", fault.New(fault.Invalid, "start a peer", string(scheme), errors.New("nobody can be started to listen there"))
}

// run starts what listens, and waits until it does.
func (p *Peer) run(ctx context.Context) error {
	switch p.scheme {
	case endpoint.Inproc:
		return p.runHere(ctx)
	case endpoint.Exec:
		return p.prepareProgram()
	default:
	}
	proc, err := p.stage.start(p.listen, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	event, err := expect(ctx, proc.events, Listening)
	if err == nil {
		p.addr, err = endpoint.Parse(event.Address)
	}
	if err != nil {
		return errors.Join(err, proc.end(failTime))
	}
	p.proc, p.told = proc, proc.events
	return nil
}

func (p *Peer) runHere(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	ready, ended := make(chan Event, eventsKept), make(chan struct{})
	var served error // read after ended
	go func() {
		defer close(ended)
		served = Serve(ctx, p.listen, func(e Event) {
			select {
			case ready <- e:
			default: // nobody waits for what else it tells
			}
		})
	}()
	var err error
	select {
	case e := <-ready:
		p.addr, err = endpoint.Parse(e.Address)
		p.told, p.stop = ready, func() { cancel(); <-ended }
	case <-ended:
		cancel()
		err = served
	}
	return err
}

func (p *Peer) prepareProgram() error {
	argument, err := p.listen.argument()
	if err != nil {
		return err
	}
	args := append(p.stage.Program[:len(p.stage.Program):len(p.stage.Program)], argument)
	p.addr = endpoint.Address{Scheme: endpoint.Exec, Args: args, Query: map[string]string{"parley": "true"}}
	if len(p.listen.Rules) > 0 { // a child that refuses us ends before it takes the socket
		p.addr.Query = nil
	}
	return nil
}

// Address is what Dial dials.
func (p *Peer) Address() endpoint.Address { return p.addr }

// Dial connects to the peer.
func (p *Peer) Dial(ctx context.Context) (transport.Conn, error) {
	conn, err := p.client.dialAddress(ctx, p.addr)
	if err == nil && p.scheme == endpoint.Exec {
		p.mu.Lock()
		p.child = conn
		p.mu.Unlock()
	}
	return conn, err
}

// Refused waits until the peer tells that its policy has refused somebody,
// and whom.
func (p *Peer) Refused(ctx context.Context) (Seen, error) {
	if p.told == nil {
		return Seen{}, fault.New(fault.Unsupported, "wait", p.addr.String(), errors.New("it has no control line"))
	}
	ctx, cancel := context.WithTimeout(ctx, intrudeTime)
	defer cancel()
	e, err := expect(ctx, p.told, Denied)
	return Seen{e.Who, e.Method}, err
}

// Kill ends the process that serves us by SIGKILL, at once.
func (p *Peer) Kill() error {
	p.mu.Lock()
	child := p.child
	p.mu.Unlock()
	switch {
	case p.proc != nil:
		return p.proc.kill()
	case child != nil:
		proc, err := os.FindProcess(child.Peer().PID)
		if err != nil {
			return err
		}
		return errors.Join(proc.Kill(), proc.Release())
	}
	return fault.New(fault.Unsupported, "kill", p.addr.String(), errors.New("it is this process itself"))
}

// Restart starts a peer anew at the address of one that was killed.
func (p *Peer) Restart(ctx context.Context) error {
	if p.proc == nil {
		return nil // exec: the next Dial starts one
	}
	_ = p.proc.close() // reaps it: how it ended is known
	p.proc = nil
	if p.addr.Host != "" {
		p.listen.Address = p.addr.String()
	}
	if err := p.run(ctx); err != nil {
		return fmt.Errorf("listening again: %w", err)
	}
	return nil
}

// Close ends the peer.
func (p *Peer) Close() error {
	if p.stop != nil {
		p.stop()
	}
	if p.proc != nil {
		return p.proc.close()
	}
	return nil
}

// Stranger tries to get in as uid, from a process of its own, and reports
// what it met. Where we cannot start another user's process it is
// ErrNotAnother.
func (p *Peer) Stranger(ctx context.Context, uid uint32) (Refusal, error) {
	role := Role{Address: p.addr.String(), Intruder: true}
	proc, err := p.stage.start(role, &uid)
	if err != nil {
		return Refusal{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	e, err := expect(ctx, proc.events, Tried)
	if err != nil {
		return e.Refusal, errors.Join(err, proc.end(failTime))
	}
	return e.Refusal, proc.close()
}

// Intrude tries to get in from this process: as itself, or for tls with a
// certificate that names a stranger.
func (p *Peer) Intrude(ctx context.Context) (Refusal, error) {
	role := p.client
	if p.scheme == endpoint.TLS {
		var err error
		if role, err = p.stage.as(role, "stranger"); err != nil {
			return Refusal{}, err
		}
	}
	began := time.Now()
	r := Intrude(ctx, func(ctx context.Context) (transport.Conn, error) { return role.dialAddress(ctx, p.addr) })
	if r.Refused && time.Since(began) >= intrudeTime {
		r.Refused = false // its own time-out, whatever it was called
	}
	return r, nil
}
