// SPDX-License-Identifier: Apache-2.0

package acceptor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipeListener is a raw listener whose connections the test pushes.
type pipeListener struct {
	conns  chan net.Conn
	errs   chan error
	once   sync.Once
	closed chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), errs: make(chan error), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.errs:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr {
	return endpoint.Address{Scheme: endpoint.Inproc, Name: "t"}.Addr()
}

// pipeConn is the least transport.Conn.
type pipeConn struct{ net.Conn }

func (pipeConn) Peer() auth.Identity { return auth.Self() }
func (pipeConn) CloseWrite() error   { return nil }

// plain authorizes ourselves and shakes no hands.
func plain(_ context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
	return pipeConn{raw}, authorize(auth.Self())
}

type fixture struct {
	*Acceptor
	raw      *pipeListener
	counters *endpoint.Counters
	log      *bytes.Buffer
}

func start(t *testing.T, cfg Config) fixture {
	f := fixture{raw: newPipeListener(), counters: new(endpoint.Counters), log: new(bytes.Buffer)}
	cfg.Raw, cfg.Counters = f.raw, f.counters
	cfg.Address = endpoint.Address{Scheme: endpoint.Inproc, Name: "t"}
	cfg.Logger = slog.New(slog.NewTextHandler(f.log, nil))
	if cfg.Handshake == nil {
		cfg.Handshake = plain
	}
	f.Acceptor = New(cfg)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// connect pushes one end of a pipe and returns the other.
func (f fixture) connect() net.Conn {
	ours, theirs := net.Pipe()
	f.raw.conns <- theirs
	return ours
}

func TestAcceptHandsOver(t *testing.T) {
	f := start(t, Config{})
	client := f.connect()
	c, err := f.AcceptConn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = client.Write([]byte("hi")) }()
	p := make([]byte, 2)
	if _, err := io.ReadFull(c, p); err != nil || string(p) != "hi" {
		t.Errorf("read %q, %v", p, err)
	}
	if n := f.counters.Accepted.Load(); n != 1 {
		t.Errorf("Accepted = %d", n)
	}
	_ = c.Close()
	_ = client.Close()
}

func TestDeniedPeerHearsTheLastWordAndNothingElse(t *testing.T) {
	deny := auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error {
		return fault.New(fault.Denied, "connect", "", errors.New("secret rule 7"))
	})
	f := start(t, Config{ListenConfig: transport.ListenConfig{
		Authorizer: deny,
		Refuse:     func(c transport.Conn) { _, _ = c.Write([]byte("no")) },
	}})
	client := f.connect()
	got, err := io.ReadAll(client)
	if err != nil || string(got) != "no" {
		t.Errorf("a denied peer read %q, %v, want just the refusal", got, err)
	}
	if n := f.counters.Denied.Load(); n != 1 {
		t.Errorf("Denied = %d", n)
	}
	_ = f.Close()
	if !strings.Contains(f.log.String(), "secret rule 7") {
		t.Errorf("our own log does not name the rule: %s", f.log)
	}
}

func TestHandshakeIsBoundedInTimeAndTheNextClientServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := true
		f := start(t, Config{Handshake: func(ctx context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
			if mute {
				mute = false
				if _, err := raw.Read(make([]byte, 1)); err != nil { // a preface that never comes
					return nil, err
				}
			}
			return plain(ctx, raw, authorize)
		}})
		began := time.Now()
		silent := f.connect()
		if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a silent peer reads %v, want its connection closed", err)
		}
		if took := time.Since(began); took != transport.DefaultHandshakeTimeout {
			t.Errorf("it was closed after %v of synctest's clock, want %v", took, transport.DefaultHandshakeTimeout)
		}
		next := f.connect()
		c, err := f.AcceptConn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		_ = next.Close()
		if n := f.counters.Failed.Load(); n != 1 {
			t.Errorf("Failed = %d", n)
		}
		if !strings.Contains(f.log.String(), "handshake failed") {
			t.Errorf("nothing was logged: %s", f.log)
		}
	})
}

// Before a peer is known only the slots count: the kernel's backlog keeps the
// others.
func TestUnknownPeersAreCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Config{
			ListenConfig: transport.ListenConfig{MaxPending: 2},
			Handshake: func(ctx context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
				if _, err := raw.Read(make([]byte, 1)); err != nil { // it says who it is
					return nil, err
				}
				return plain(ctx, raw, authorize)
			},
		})
		first, second := f.connect(), f.connect()
		third, theirs := net.Pipe()
		took := make(chan struct{})
		go func() { f.raw.conns <- theirs; close(took) }()
		synctest.Wait()
		select {
		case <-took:
			t.Error("a third connection was accepted while two were unknown")
		default:
		}
		if _, err := first.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		<-took // the first is known now
		c, err := f.AcceptConn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []io.Closer{c, first, second, third} {
			_ = c.Close()
		}
	})
}

func TestAcceptErrorsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Config{})
		began := time.Now()
		for range 3 {
			f.raw.errs <- os.NewSyscallError("accept", syscall.EMFILE)
		}
		client := f.connect() // taken once the pauses are over
		c, err := f.AcceptConn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		_ = client.Close()
		if took := time.Since(began); took != 35*time.Millisecond {
			t.Errorf("three failures in a row paused %v in all, want 5+10+20 ms", took)
		}
		_ = f.Close()
		if !strings.Contains(f.log.String(), "ulimit -n") {
			t.Errorf("the log does not say what to do: %s", f.log)
		}
	})
}

func TestContextAndClose(t *testing.T) {
	released := 0
	f := start(t, Config{Release: func() error { released++; return nil }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := f.AcceptConn(ctx); c != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("AcceptConn = %v, %v, want context.Canceled", c, err)
	}
	pending := f.connect() // passes, and nobody takes it
	waiting := make(chan error)
	go func() { // takes it or not, then waits
		for {
			c, err := f.Accept()
			if err != nil {
				waiting <- err
				return
			}
			_ = c.Close()
		}
	}()
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-waiting; !errors.Is(err, net.ErrClosed) || !errors.Is(err, fault.Closed) {
		t.Errorf("Accept ended with %v, want net.ErrClosed", err)
	}
	if _, err := pending.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection that nobody took reads %v, want io.EOF", err)
	}
	if released != 1 {
		t.Errorf("Release was called %d times", released)
	}
}
