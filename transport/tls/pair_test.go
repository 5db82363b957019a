// SPDX-License-Identifier: Apache-2.0

package tls_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tls"
)

const limit = 20 * time.Second

// authority makes an authority of its own in a new directory.
func authority(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := ca.Init(dir, "authority of "+t.Name(), 0); err != nil {
		t.Fatal(err)
	}
	return dir
}

// issue makes a leaf and returns the configuration of its holder, who trusts
// the same authority.
func issue(t *testing.T, dir string, r ca.Request) tls.Config {
	t.Helper()
	leaf, err := ca.Issue(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Config{CertFile: leaf.CertFile, KeyFile: leaf.KeyFile, CAFile: filepath.Join(dir, ca.CertName)}
}

// host is a request for a server that diallers find on this machine.
func host(name string) ca.Request { return ca.Request{Name: name, DNS: []string{"localhost", name}} }

func serve(t *testing.T, lc transport.ListenConfig, c tls.Config) transport.Listener {
	t.Helper()
	if lc.Authorizer == nil {
		lc.Authorizer = anyone
	}
	l, err := tls.Listen(t.Context(), address(t, "tls://localhost:0"), lc, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func address(t *testing.T, s string) endpoint.Address {
	t.Helper()
	a, err := endpoint.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func dialTo(t *testing.T, l transport.Listener, c tls.Config) (*tls.Conn, error) {
	t.Helper()
	conn, err := tls.Dial(t.Context(), l.Address(), transport.DialConfig{HandshakeTimeout: limit}, c)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
			t.Fatal(err)
		}
	}
	return conn, err
}

func connect(t *testing.T, l transport.Listener, c tls.Config) (d *tls.Conn, a transport.Conn) {
	t.Helper()
	d, err := dialTo(t, l, c)
	if err != nil {
		t.Fatal(err)
	}
	return d, accept(t, l)
}

func accept(t *testing.T, l transport.Listener) transport.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	a, err := l.AcceptConn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	if err := a.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return a
}

// carry sends a word from one end to the other.
func carry(t *testing.T, from, to net.Conn) {
	t.Helper()
	word := []byte("a word")
	if _, err := from.Write(word); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, word) {
		t.Fatalf("got %q, %v, want %q", got, err, word)
	}
}

// log collects what a logger says.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
