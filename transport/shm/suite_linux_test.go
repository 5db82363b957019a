// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/transporttest"
)

// The transport with rings from the beginning, with rings once there is
// traffic, which is the default, and without memory for rings.
var (
	overRings  = backend("shm", shm.Options{Attach: shm.AtOnce}, true)
	overBoth   = backend("shm-lazy", shm.Options{}, true)
	overSocket = backend("shm-socket", shm.Options{Budget: &shm.Budget{Max: 1}}, false)
)

func TestSuite(t *testing.T)           { transporttest.Run(t, overRings) }
func TestSuiteLazy(t *testing.T)       { transporttest.Run(t, overBoth) }
func TestSuiteOverSocket(t *testing.T) { transporttest.Run(t, overSocket) }

func backend(name string, opts shm.Options, lend bool) transporttest.Backend {
	return transporttest.Backend{
		Name:    name,
		Address: func(t testing.TB) string { return "shm://" + filepath.Join(t.TempDir(), "s") },
		Listen: func(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
			a, err := endpoint.Parse(addr)
			if err != nil {
				return nil, err
			}
			return shm.Listen(ctx, a, shm.ListenConfig{ListenConfig: cfg, Options: opts})
		},
		Dial: func(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
			a, err := endpoint.Parse(addr)
			if err != nil {
				return nil, err
			}
			c, err := shm.Dial(ctx, a, shm.DialConfig{DialConfig: cfg, Options: opts})
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		DialerSees:   kernelSays,
		ListenerSees: kernelSays,
		Files:        true,
		Lend:         lend,
		TrustedPair:  trustedPair,
		DeathIsError: true,
	}
}

func trustedPair(t testing.TB) (dialer, listener transport.Conn) {
	a, err := endpoint.Parse("shm://" + filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := shm.Options{Trusted: true}
	l, err := shm.Listen(t.Context(), a, shm.ListenConfig{Options: trusted})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if dialer, err = shm.Dial(t.Context(), a, shm.DialConfig{Options: trusted}); err != nil {
		t.Fatal(err)
	}
	if listener, err = l.AcceptConn(t.Context()); err != nil {
		t.Fatal(err)
	}
	return dialer, listener
}

func kernelSays(p transporttest.Party) auth.Identity {
	return auth.Identity{Method: auth.Kernel, HasUID: true, UID: p.UID, GID: p.GID, PID: p.PID}
}
