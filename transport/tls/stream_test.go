// SPDX-License-Identifier: Apache-2.0

package tls_test

import (
	"crypto/rand"
	stdtls "crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tls"
)

// TestCut: somebody between the two ends the connection at a record's border.
func TestCut(t *testing.T) {
	server := issue(t, authority(t), host("server"))
	pair, err := stdtls.LoadX509KeyPair(server.CertFile, server.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		finish func(c *stdtls.Conn) error
		want   error
	}{
		{"cut", func(c *stdtls.Conn) error { return c.NetConn().Close() }, io.ErrUnexpectedEOF},
		{"orderly", func(c *stdtls.Conn) error { return c.Close() }, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := stdtls.Listen("tcp", "127.0.0.1:0", &stdtls.Config{Certificates: []stdtls.Certificate{pair}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = ln.Close() }()
			ended := make(chan error, 1)
			go func() {
				c, err := ln.Accept()
				if err == nil {
					_, err = c.Write([]byte("all but the end"))
					err = errors.Join(err, tt.finish(c.(*stdtls.Conn)))
				}
				ended <- err
			}()
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			c, err := tls.Dial(t.Context(), address(t, "tls://localhost:"+port), transport.DialConfig{}, tls.Config{CAFile: server.CAFile})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 15)
			if _, err := io.ReadFull(c, got); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := c.Read(got); err != tt.want { //nolint:errorlint // readers compare with the bare ones
					t.Errorf("the end is %v, want %v", err, tt.want)
				}
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBrokenPeers: stalled, silent and senseless handshakes fill the cap on
// pending ones, and cost an honest client no more than their time limit.
func TestBrokenPeers(t *testing.T) {
	const pending = 4
	server := issue(t, authority(t), host("server"))
	l := serve(t, transport.ListenConfig{MaxPending: pending, HandshakeTimeout: 200 * time.Millisecond}, server)
	noise := make([]byte, 4096)
	_, _ = rand.Read(noise)
	hello := append([]byte{22, 3, 1, 0xff, 0xff}, noise...) // a record longer than any
	started := []byte{22, 3, 1, 0, 200, 1, 0, 0, 196}       // and the rest never comes
	attacks := [][]byte{nil, {22}, started, started, noise, hello, started, {22, 3}}
	for _, p := range attacks {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	d, a := connect(t, l, tls.Config{CAFile: server.CAFile})
	carry(t, d, a)
	counters := l.(interface{ Counters() *endpoint.Counters }).Counters()
	if n := counters.Failed.Load(); n < uint64(len(attacks)-pending) || counters.Accepted.Load() != 1 {
		t.Errorf("counted %d failed, %d accepted; want most of %d and 1", n, counters.Accepted.Load(), len(attacks))
	}
}

// TestDefaultPolicy: without a rule nobody on TLS is let in, named or not, and
// hears nothing but the end.
func TestDefaultPolicy(t *testing.T) {
	dir := authority(t)
	server := issue(t, dir, host("server"))
	l, err := tls.Listen(t.Context(), address(t, "tls://localhost:0"), transport.ListenConfig{}, server)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, c := range []tls.Config{{CAFile: server.CAFile}, issue(t, dir, ca.Request{CommonName: "uid:0"})} {
		d, err := dialTo(t, l, c)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := d.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read %d, %v, want the end", n, err)
		}
	}
}

// TestServerBySPIFFE dials a workload by its ID, wherever it runs.
func TestServerBySPIFFE(t *testing.T) {
	dir := authority(t)
	l := serve(t, transport.ListenConfig{}, issue(t, dir, ca.Request{SPIFFE: "spiffe://td/orders"}))
	client := issue(t, dir, ca.Request{SPIFFE: "spiffe://td/web"})
	client.ServerName = "spiffe://td/orders"
	d, a := connect(t, l, client)
	carry(t, d, a)
	if d.Peer().String() != "spiffe://td/orders" || a.Peer().String() != "spiffe://td/web" {
		t.Errorf("the sides see %v and %v", d.Peer(), a.Peer())
	}
}
