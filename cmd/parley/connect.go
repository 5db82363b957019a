// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/policy/file"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/exec"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/tls"
)

// connectFlags are the flags of every verb that dials or listens.
type connectFlags struct {
	cert, key, ca, serverName string
	spin                      string
	ring                      string
	prefault                  bool
	allow                     []string // listening verbs only
	protocols                 []string // tls: offered by ALPN; no flag
}

func (c *connectFlags) addDial(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.cert, "cert", "", "tls: our certificate (PEM file)")
	f.StringVar(&c.key, "key", "", "tls: its private key (PEM file)")
	f.StringVar(&c.ca, "ca", "", "tls: the authority that the other side's certificate must come from (PEM file)")
	f.StringVar(&c.serverName, "server-name", "", "tls: the name expected in the server's certificate (default: the host)")
	f.StringVar(&c.spin, "spin", "auto", "shm: auto, off or always: whether to burn CPU while waiting")
	f.StringVar(&c.ring, "ring", "", "shm: size of our ring, a power of two from 16KiB to 1GiB (default: 2MiB while the budget is plentiful)")
	f.BoolVar(&c.prefault, "prefault", false, "shm: map both rings as soon as they are attached, instead of page by page")
}

func (c *connectFlags) addListen(cmd *cobra.Command) {
	c.addDial(cmd)
	cmd.Flags().StringArrayVar(&c.allow, "allow", nil,
		`also let these connect: uid:N, user:NAME, group:NAME, spiffe://…, dns:…, anonymous, "*" (repeatable)`)
}

func (c *connectFlags) tls() tls.Config {
	return tls.Config{CertFile: c.cert, KeyFile: c.key, CAFile: c.ca, ServerName: c.serverName, NextProtos: c.protocols}
}

func (c *connectFlags) shm() (shm.Options, error) {
	spin, ok := map[string]shm.Spin{"auto": shm.Auto, "off": shm.Off, "always": shm.Always}[c.spin]
	if !ok {
		return shm.Options{}, usageError{fmt.Errorf("--spin %q: write auto, off or always", c.spin)}
	}
	o := shm.Options{Spin: spin, Prefault: c.prefault}
	if c.ring != "" {
		var err error
		if o.RingSize, err = endpoint.ParseRing(c.ring); err != nil {
			return shm.Options{}, usageError{fmt.Errorf("--ring %w", err)}
		}
	}
	return o, nil
}

// betweenProcesses refuses what is no address, and inproc:, where nobody could
// be on the other side.
func betweenProcesses(address string) error {
	if addr, err := endpoint.Parse(address); err != nil || addr.Scheme != endpoint.Inproc {
		return err
	}
	return fault.New(fault.Invalid, "address", address, errors.New("it connects the parts of one process")).
		WithHint("between processes, write shm://NAME or unix://NAME")
}

// dial connects to an address that a person typed, waiting for the listener
// within --timeout.
func (a *app) dial(ctx context.Context, c *connectFlags, address string) (transport.Conn, error) {
	if err := betweenProcesses(address); err != nil {
		return nil, err
	}
	options, err := c.shm()
	if err != nil {
		return nil, err
	}
	d := parley.Dialer{
		WaitFor:          a.timeout,
		HandshakeTimeout: a.timeout,
		AllowExec:        true,
		TLS:              c.tls(),
		SHM:              options,
		Exec:             exec.Config{Stderr: a.err},
		Logger:           a.log,
	}
	return d.Dial(ctx, address)
}

// listen listens on an address that a person typed, under the policy that is
// in force and what --allow adds. refuse may be nil. The caller closes the
// listener, which also ends the policy's watch.
func (a *app) listen(ctx context.Context, c *connectFlags, address string, refuse func(transport.Conn)) (transport.Listener, error) {
	if err := betweenProcesses(address); err != nil {
		return nil, err
	}
	options, err := c.shm()
	if err != nil {
		return nil, err
	}
	authorizer, done, err := a.authorizer(c.allow, address)
	if err != nil {
		return nil, err
	}
	lc := parley.ListenConfig{
		ListenConfig: transport.ListenConfig{
			Authorizer:       authorizer,
			Refuse:           refuse,
			HandshakeTimeout: a.timeout,
			Logger:           a.log,
		},
		TLS: c.tls(),
		SHM: options,
	}
	ln, err := lc.Listen(ctx, address)
	if err != nil {
		return nil, errors.Join(err, done())
	}
	return &policedListener{Listener: ln, done: done}, nil
}

// policedListener closes its policy with itself.
type policedListener struct {
	transport.Listener
	done func() error
}

func (l *policedListener) Close() error { return errors.Join(l.Listener.Close(), l.done()) }

// authorizer is the policy in force: the file's, or the owner only, and the
// rules of --allow for this address beside it. done ends the file's watch.
func (a *app) authorizer(allow []string, address string) (auth.Authorizer, func() error, error) {
	base, done, err := a.policyInForce()
	if err != nil || len(allow) == 0 {
		return base, done, err
	}
	addr, err := endpoint.Parse(address)
	if err != nil {
		return nil, nil, errors.Join(err, done())
	}
	extra, err := policy.New([]policy.Rule{{Who: allow, May: []auth.Action{auth.Connect}, On: []string{"endpoint:" + string(addr.Scheme) + ":**"}}}, policy.Options{})
	if err != nil {
		return nil, nil, errors.Join(usageError{fmt.Errorf("--allow: %w", err)}, done())
	}
	return either{allow: extra, base: base}, done, nil
}

func (a *app) policyInForce() (auth.Authorizer, func() error, error) {
	nothing := func() error { return nil }
	path, err := file.Find(a.policy)
	if err != nil || path == "" {
		return auth.OwnerOnly{}, nothing, err
	}
	signals, stop := hangups()
	watched, err := file.Open(path, file.Options{Logger: a.log, Signal: signals})
	if err != nil {
		stop()
		return nil, nothing, err
	}
	return watched, func() error { stop(); return watched.Close() }, nil
}

// either admits whom the policy in force or --allow admits. A rule of the
// policy that denies beats --allow, as it beats every other rule.
type either struct {
	allow *policy.Policy
	base  auth.Authorizer
}

func (e either) Authorize(ctx context.Context, id auth.Identity, action auth.Action, resource string) error {
	err := e.base.Authorize(ctx, id, action, resource)
	if err == nil {
		return nil
	}
	if file, ok := e.base.(*file.Watched); ok && file.Explain(id, action, resource).Rule != 0 {
		return err // a rule denies: without one it is 0
	}
	if e.allow.Authorize(ctx, id, action, resource) == nil {
		return nil
	}
	return err
}
