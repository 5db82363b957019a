// SPDX-License-Identifier: Apache-2.0

package tls_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tls"
)

// until polls: a listener looks at its files at a handshake, not more than
// once a second, and no event tells a peer of it.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-tick.C
	}
}

func TestReload(t *testing.T) {
	dir := authority(t)
	request := ca.Request{Name: "server", DNS: []string{"first.example", "localhost"}}
	server := issue(t, dir, request)
	out := &log{}
	l := serve(t, transport.ListenConfig{Logger: out.logger()}, server)
	trust := tls.Config{CAFile: server.CAFile}
	seen := func() string {
		d, a := connect(t, l, trust)
		carry(t, d, a)
		return d.Peer().String()
	}
	live, liveFar := connect(t, l, trust)

	request.DNS[0], request.Force = "second.example", true
	issue(t, dir, request)
	until(t, "the second certificate", func() bool { return seen() == "dns:second.example" })

	good, err := os.ReadFile(server.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(server.KeyFile, []byte("half a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "a word in the log", func() bool { _ = seen(); return strings.Contains(out.String(), "not reloaded") })
	if name := seen(); name != "dns:second.example" {
		t.Errorf("with a broken key the server is %s", name)
	}
	if err := os.WriteFile(server.KeyFile, good, 0o600); err != nil {
		t.Fatal(err)
	}
	request.DNS[0] = "third.example"
	issue(t, dir, request)
	until(t, "the third certificate", func() bool { return seen() == "dns:third.example" })
	if n := strings.Count(out.String(), "not reloaded"); n > 3 {
		t.Errorf("the log tells of one mistake %d times", n)
	}
	carry(t, live, liveFar)
	carry(t, liveFar, live)
}

// TestReloadAuthority: who was trusted is no more, but for what is open.
func TestReloadAuthority(t *testing.T) {
	dir, next := authority(t), authority(t)
	server := issue(t, dir, host("server"))
	own := server.CAFile
	server.CAFile = filepath.Join(dir, "clients.crt")
	server.RequireClientCert = true
	trust := func(from string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(from, ca.CertName))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(server.CAFile+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(server.CAFile+".new", server.CAFile); err != nil {
			t.Fatal(err)
		}
	}
	trust(dir)
	l := serve(t, transport.ListenConfig{MaxPending: 64}, server)
	former, later := issue(t, dir, ca.Request{CommonName: "former"}), issue(t, next, ca.Request{CommonName: "later"})
	former.CAFile, later.CAFile = own, own
	live, liveFar := connect(t, l, former)

	trust(next)
	until(t, "the former client is refused", func() bool { return errors.Is(meets(t, l, former), fault.Denied) })
	if d, a := connect(t, l, later); a.Peer().String() != "cn:later" {
		t.Errorf("the client is %v", a.Peer())
	} else {
		carry(t, d, a)
	}
	carry(t, live, liveFar)
}

// meets is how a client ends that either is refused, or is let in and heard.
func meets(t *testing.T, l transport.Listener, c tls.Config) error {
	t.Helper()
	d, err := dialTo(t, l, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := d.Read(make([]byte, 1))
		ended <- err
		cancel() // nobody will be let in
	}()
	if a, err := l.AcceptConn(ctx); err == nil {
		_ = a.Close()
	}
	return <-ended
}
