// SPDX-License-Identifier: Apache-2.0

package tls_test

import (
	"context"
	"errors"
	"net"
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

// wantFault checks an error's kind and that it says what to do.
func wantFault(t *testing.T, what string, err error, kind fault.Kind, hint string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != kind || !strings.Contains(f.Hint, hint) {
		t.Errorf("%s: %v, want %v with a hint about %q", what, err, kind, hint)
	}
}

// TestServerRefused: what a dialler says of a server's certificate.
func TestServerRefused(t *testing.T) {
	dir, foreign := authority(t), authority(t)
	trust := tls.Config{CAFile: filepath.Join(dir, ca.CertName)}
	hour := time.Hour
	for _, tt := range []struct {
		name, dir string
		request   ca.Request
		dial      tls.Config
		hint      string
	}{
		{"foreign authority", foreign, host("a"), trust, "--ca"},
		{"wrong name", dir, ca.Request{Name: "b", DNS: []string{"elsewhere.example"}}, trust, "--server-name"},
		{"wrong use", dir, ca.Request{Name: "c", DNS: []string{"localhost"}, Client: true}, trust, "use"},
		{"wrong SPIFFE ID", dir, ca.Request{Name: "d", SPIFFE: "spiffe://td/d", DNS: []string{"localhost"}},
			tls.Config{CAFile: trust.CAFile, ServerName: "spiffe://td/e"}, ""},
		{"foreign SPIFFE ID", foreign, ca.Request{Name: "e", SPIFFE: "spiffe://td/e"},
			tls.Config{CAFile: trust.CAFile, ServerName: "spiffe://td/e"}, "--ca"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := serve(t, transport.ListenConfig{}, issue(t, tt.dir, tt.request))
			_, err := dialTo(t, l, tt.dial)
			wantFault(t, "dial", err, fault.Denied, tt.hint)
		})
	}
	t.Run("expired while it served", func(t *testing.T) {
		l := serve(t, transport.ListenConfig{}, withClock(issue(t, dir, ca.Request{Name: "f", DNS: []string{"localhost"}, NotBefore: time.Now().Add(-2 * hour), Validity: hour}), -90*time.Minute))
		_, err := dialTo(t, l, trust)
		wantFault(t, "dial", err, fault.Denied, "expired")
	})
	t.Run("not valid yet", func(t *testing.T) {
		l := serve(t, transport.ListenConfig{}, withClock(issue(t, dir, ca.Request{Name: "g", DNS: []string{"localhost"}, NotBefore: time.Now().Add(hour), Validity: hour}), 90*time.Minute))
		_, err := dialTo(t, l, trust)
		wantFault(t, "dial", err, fault.Denied, "clocks")
	})
}

// TestClientRefused: what a dialler hears when the server refuses it, at its
// first Read, and that the server serves the next.
func TestClientRefused(t *testing.T) {
	dir, foreign := authority(t), authority(t)
	server := issue(t, dir, host("server"))
	server.RequireClientCert = true
	out := &log{}
	l := serve(t, transport.ListenConfig{Logger: out.logger()}, server)
	hour := time.Hour
	withCA := func(c tls.Config) tls.Config { c.CAFile = server.CAFile; return c }
	for _, tt := range []struct {
		name string
		dial tls.Config
		hint string
	}{
		{"no certificate", tls.Config{CAFile: server.CAFile}, "--cert"},
		{"foreign authority", withCA(issue(t, foreign, ca.Request{CommonName: "stranger"})), ""},
		{"wrong use", issue(t, dir, ca.Request{CommonName: "s", Server: true}), ""},
		{"expired", withClock(issue(t, dir, ca.Request{CommonName: "late", NotBefore: time.Now().Add(-2 * hour), Validity: hour}), -90*time.Minute), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.dial.Base != nil {
				tt.dial.ServerName = "" // its clock is for its own certificate only
				tt.dial = inMemory(t, tt.dial)
			}
			d, err := dialTo(t, l, tt.dial)
			if err == nil {
				_, err = d.Read(make([]byte, 1))
			}
			wantFault(t, "first Read", err, fault.Denied, tt.hint)
		})
	}
	if d, a := connect(t, l, issue(t, dir, ca.Request{CommonName: "friend"})); a.Peer().String() != "cn:friend" {
		t.Errorf("the next client is %v", a.Peer())
	} else {
		carry(t, d, a)
	}
	if n := strings.Count(out.String(), "certificate refused"); n < 3 {
		t.Errorf("%d refusals in the log, want 3:\n%s", n, out)
	}
}

func TestBadFiles(t *testing.T) {
	dir := authority(t)
	good, other := issue(t, dir, host("good")), issue(t, dir, host("other"))
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	hour := time.Hour
	for _, tt := range []struct {
		name string
		c    tls.Config
		hint string
	}{
		{"nothing", tls.Config{}, "--cert"},
		{"no key", tls.Config{CertFile: good.CertFile}, "--key"},
		{"missing", tls.Config{CertFile: dir + "/none.crt", KeyFile: good.KeyFile}, "parley ca"},
		{"another's key", tls.Config{CertFile: good.CertFile, KeyFile: other.KeyFile}, "key that belongs"},
		{"garbage", tls.Config{CertFile: garbage, KeyFile: garbage}, "PEM"},
		{"garbage authority", tls.Config{CertFile: good.CertFile, KeyFile: good.KeyFile, CAFile: garbage}, "ca.crt"},
		{"missing authority", tls.Config{CertFile: good.CertFile, KeyFile: good.KeyFile, CAFile: dir + "/none"}, "parley ca"},
		{"expired", issue(t, dir, ca.Request{Name: "x", DNS: []string{"localhost"}, NotBefore: time.Now().Add(-2 * hour), Validity: hour}), "new one"},
		{"not valid yet", issue(t, dir, ca.Request{Name: "y", DNS: []string{"localhost"}, NotBefore: time.Now().Add(hour), Validity: hour}), "clock"},
	} {
		l, err := tls.Listen(t.Context(), address(t, "tls://127.0.0.1:0"), transport.ListenConfig{}, tt.c)
		if err == nil {
			_ = l.Close()
		}
		wantFault(t, "listen: "+tt.name, err, fault.Invalid, tt.hint)
		if tt.name == "nothing" {
			continue
		}
		_, err = tls.Dial(t.Context(), address(t, "tls://127.0.0.1:1"), transport.DialConfig{}, tt.c)
		wantFault(t, "dial: "+tt.name, err, fault.Invalid, tt.hint)
	}
}

// A requirement that nothing could meet is no reason to let everybody in.
func TestRequiredCertificateNeedsAuthority(t *testing.T) {
	c := issue(t, authority(t), host("server"))
	c.CAFile, c.RequireClientCert = "", true
	l, err := tls.Listen(t.Context(), address(t, "tls://127.0.0.1:0"), transport.ListenConfig{}, c)
	if err == nil {
		_ = l.Close()
	}
	wantFault(t, "listen without an authority", err, fault.Invalid, "--ca")
}

// TestNotTLS: each side meets a peer that speaks something else.
func TestNotTLS(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		if c, err := ln.Accept(); err == nil {
			_, _ = c.Write([]byte("220 mail.example ESMTP at your service\r\n"))
			_, _ = c.Read(make([]byte, 1024))
			_ = c.Close()
		}
	}()
	_, err = tls.Dial(t.Context(), address(t, "tls://"+ln.Addr().String()), transport.DialConfig{}, tls.Config{})
	wantFault(t, "dial", err, fault.Protocol, "TLS")

	dir := authority(t)
	server := issue(t, dir, host("server"))
	l := serve(t, transport.ListenConfig{}, server)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	d, a := connect(t, l, tls.Config{CAFile: server.CAFile})
	carry(t, d, a)
}

func TestUsedPort(t *testing.T) {
	server := issue(t, authority(t), host("server"))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, err = tls.Listen(t.Context(), address(t, "tls://"+ln.Addr().String()), transport.ListenConfig{}, server)
	wantFault(t, "listen", err, fault.InUse, "port 0")
	addr := ln.Addr().String()
	_ = ln.Close()
	_, err = tls.Dial(t.Context(), address(t, "tls://"+addr), transport.DialConfig{}, server)
	wantFault(t, "dial", err, fault.Unavailable, "listen")
}

// TestSilentServer: a handshake takes its time limit and no longer.
func TestSilentServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the kernel connects, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, err = tls.Dial(t.Context(), address(t, "tls://"+ln.Addr().String()), transport.DialConfig{HandshakeTimeout: 50 * time.Millisecond}, tls.Config{})
	wantFault(t, "dial", err, fault.Timeout, "TLS")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = tls.Dial(ctx, address(t, "tls://"+ln.Addr().String()), transport.DialConfig{HandshakeTimeout: limit}, tls.Config{})
	wantFault(t, "cancelled dial", err, fault.Canceled, "")
}

func TestListenOn(t *testing.T) {
	server := issue(t, authority(t), host("server"))
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.ListenOn(t.Context(), raw, address(t, "tls://localhost:0"), transport.ListenConfig{Authorizer: anyone}, server)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	d, a := connect(t, l, tls.Config{CAFile: server.CAFile})
	carry(t, d, a)

	raw, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, err = tls.ListenOn(t.Context(), raw, address(t, "tls://localhost:0"), transport.ListenConfig{}, tls.Config{})
	wantFault(t, "without a certificate", err, fault.Invalid, "--cert")
	if _, err := raw.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket was left open: %v", err)
	}
}
