// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"fmt"
	"io"
	"maps"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/internal/stock"
	"github.com/parley-ipc/parley/transport"
)

// Roles are the suite's child processes, for proctest.Main. A test binary
// with several backends, or roles of its own, merges the maps.
func Roles(backends ...Backend) map[string]proctest.Role {
	roles := map[string]proctest.Role{}
	for _, b := range backends {
		for name, role := range map[string]func(Backend, *proctest.Self) error{
			"listen": listenRole, "dial": dialRole, "knock": knockRole, "stdio": stdioRole,
			"serve": serveRole, "call": callRole, "serve-stdio": serveStdioRole, "crowd": crowdRole,
		} {
			maps.Copy(roles, map[string]proctest.Role{b.role(name): func(p *proctest.Self) error { return role(b, p) }})
		}
	}
	return roles
}

func (b Backend) role(name string) string { return "transporttest." + b.Name + "." + name }

func arg(p *proctest.Self, i int) string {
	if i < len(p.Args) {
		return p.Args[i]
	}
	return ""
}

func verbOf(name string) (verb, error) {
	v, ok := verbs[name]
	if !ok {
		return nil, fmt.Errorf("no verb %q", name)
	}
	return v, nil
}

// listenRole listens on an address and does a verb with whoever comes, until
// the parent is done.
func listenRole(b Backend, p *proctest.Self) error {
	v, err := verbOf(arg(p, 1))
	if err != nil {
		return err
	}
	l, err := b.Listen(context.Background(), arg(p, 0), transport.ListenConfig{})
	if err != nil {
		return err
	}
	p.Say(l.Address().String())
	go func() { _ = serve(context.Background(), l, v) }()
	return untilDone(p, l)
}

func untilDone(p *proctest.Self, c io.Closer) error {
	for {
		if _, err := p.Hear(); err != nil {
			return c.Close()
		}
	}
}

// dialRole dials an address and does a verb.
func dialRole(b Backend, p *proctest.Self) error {
	v, err := verbOf(arg(p, 1))
	if err != nil {
		return err
	}
	c, err := b.Dial(context.Background(), arg(p, 0), transport.DialConfig{})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return v(c)
}

// knockRole dials and hangs up, over and over, until it is killed or its
// parent is done.
func knockRole(b Backend, p *proctest.Self) error {
	p.Say("knocking")
	gone := make(chan struct{})
	go func() { defer close(gone); _, _ = p.Hear() }()
	for {
		select {
		case <-gone:
			return nil
		default:
		}
		c, err := b.Dial(context.Background(), arg(p, 0), transport.DialConfig{HandshakeTimeout: limit})
		if err == nil {
			_ = c.Close()
		}
	}
}

// stdioRole does a verb on the connection that its parent started it with.
func stdioRole(b Backend, p *proctest.Self) error {
	v, err := verbOf(arg(p, 0))
	if err != nil {
		return err
	}
	c, err := b.Stdio()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return v(c)
}

// serveRole offers a stock service on an address, until the parent is done.
func serveRole(b Backend, p *proctest.Self) error {
	use, err := stock.Find(arg(p, 1))
	if err != nil {
		return err
	}
	l, err := b.Listen(context.Background(), arg(p, 0), transport.ListenConfig{})
	if err != nil {
		return err
	}
	p.Say(l.Address().String())
	stop := use.Serve(l)
	_, _ = p.Hear()
	stop()
	return nil
}

// serveStdioRole offers a stock service on the connection that its parent
// started it with.
func serveStdioRole(b Backend, p *proctest.Self) error {
	use, err := stock.Find(arg(p, 0))
	if err != nil {
		return err
	}
	c, err := b.Stdio()
	if err != nil {
		return err
	}
	l := newSingle(c)
	stop := use.Serve(l)
	<-l.done
	stop()
	return nil
}

// callRole is the client of a stock service.
func callRole(b Backend, p *proctest.Self) error {
	use, err := stock.Find(arg(p, 1))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := use.Call(ctx, dialer(b, arg(p, 0)), connsOf(b)); err != nil {
		return err
	}
	p.Say("ok")
	_, _ = p.Hear()
	return nil
}
