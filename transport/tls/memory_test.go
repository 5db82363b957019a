// SPDX-License-Identifier: Apache-2.0

package tls_test

import (
	stdtls "crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tls"
)

// withClock sets a holder's clock, so that it finds its own certificate valid.
func withClock(c tls.Config, ahead time.Duration) tls.Config {
	c.Base = &stdtls.Config{Time: func() time.Time { return time.Now().Add(ahead) }}
	return c
}

// inMemory loads the files of c into its Base, whose clock is then the real
// one again.
func inMemory(t *testing.T, c tls.Config) tls.Config {
	t.Helper()
	pair, err := stdtls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no authority")
	}
	return tls.Config{Base: &stdtls.Config{Certificates: []stdtls.Certificate{pair}, RootCAs: roots, ClientCAs: roots}}
}

func TestInMemory(t *testing.T) {
	dir := authority(t)
	l := serve(t, transport.ListenConfig{}, inMemory(t, issue(t, dir, host("server"))))
	d, a := connect(t, l, inMemory(t, issue(t, dir, ca.Request{SPIFFE: "spiffe://td/client"})))
	carry(t, d, a)
	if d.Peer().String() != "dns:localhost" || a.Peer().String() != "spiffe://td/client" {
		t.Errorf("the sides see %v and %v", d.Peer(), a.Peer())
	}
	if s := d.ConnectionState(); s.Version != stdtls.VersionTLS13 || s.DidResume {
		t.Errorf("version %x, resumed %v", s.Version, s.DidResume)
	}
}

// TestOldVersion: whatever Base says, nobody gets less than TLS 1.3.
func TestOldVersion(t *testing.T) {
	dir := authority(t)
	server := inMemory(t, issue(t, dir, host("server")))
	server.Base.MinVersion, server.Base.MaxVersion = stdtls.VersionTLS10, stdtls.VersionTLS12
	l := serve(t, transport.ListenConfig{}, server)
	old := &stdtls.Config{RootCAs: server.Base.RootCAs, ServerName: "localhost", MaxVersion: stdtls.VersionTLS12}
	if c, err := stdtls.Dial("tcp", l.Addr().String(), old); err == nil {
		_ = c.Close()
		t.Error("a client of TLS 1.2 was served")
	}
}

// TestUnverified: a dialler that verifies nothing knows nobody.
func TestUnverified(t *testing.T) {
	l := serve(t, transport.ListenConfig{}, issue(t, authority(t), host("server")))
	d, a := connect(t, l, tls.Config{Base: &stdtls.Config{InsecureSkipVerify: true}})
	if !d.Peer().Anonymous() || !a.Peer().Anonymous() {
		t.Errorf("the sides see %v and %v, want anonymous", d.Peer(), a.Peer())
	}
}

func TestALPN(t *testing.T) {
	server := issue(t, authority(t), host("server"))
	server.NextProtos = []string{"parley/1", "h2"}
	l := serve(t, transport.ListenConfig{}, server)
	d, _ := connect(t, l, tls.Config{CAFile: server.CAFile, NextProtos: []string{"h2"}})
	if p := d.ConnectionState().NegotiatedProtocol; p != "h2" {
		t.Errorf("agreed on %q, want h2", p)
	}
}
