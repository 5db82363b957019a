// SPDX-License-Identifier: Apache-2.0

package tls_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tls"
	"github.com/parley-ipc/parley/transport/transporttest"
)

// dirEnv names the directory with the suite's certificates for the children.
const dirEnv = "PARLEY_TEST_TLS"

const (
	serverID = "spiffe://test.example/server"
	clientID = "spiffe://test.example/client"
)

var backend = transporttest.Backend{
	Name:         "tls",
	Address:      func(testing.TB) string { return "tls://127.0.0.1:0" },
	Listen:       listen,
	Dial:         dial,
	DialerSees:   func(transporttest.Party) auth.Identity { return auth.Identity{Method: auth.TLS, Name: serverID} },
	ListenerSees: func(transporttest.Party) auth.Identity { return auth.Identity{Method: auth.TLS, Name: clientID} },
	DeathIsError: true,
}

var spinning = transporttest.Spinning(backend, transport.SpinAlways)

func TestMain(m *testing.M) {
	roles := transporttest.Roles(backend)
	maps.Copy(roles, transporttest.Roles(spinning))
	proctest.RunRole(roles)
	dir, err := makeCertificates()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = os.Setenv(dirEnv, dir) // children inherit it
	code := proctest.Isolated(m).Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func TestSuite(t *testing.T)         { transporttest.Run(t, backend) }
func TestSuiteSpinning(t *testing.T) { transporttest.Run(t, spinning) }

// makeCertificates makes an authority, a server and a client.
func makeCertificates() (string, error) {
	dir, err := os.MkdirTemp("", "parley-tls")
	if err != nil {
		return "", err
	}
	if err := ca.Init(dir, "suite", 0); err != nil {
		return "", err
	}
	loopback := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	if _, err := ca.Issue(dir, ca.Request{Name: "server", SPIFFE: serverID, DNS: []string{"localhost"}, IPs: loopback, Server: true}); err != nil {
		return "", err
	}
	_, err = ca.Issue(dir, ca.Request{Name: "client", SPIFFE: clientID, Client: true})
	return dir, err
}

// as is the configuration of one of the parties in the directory.
func as(name string) tls.Config {
	dir := os.Getenv(dirEnv)
	return tls.Config{
		CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key"),
		CAFile: filepath.Join(dir, ca.CertName),
	}
}

// anyone is the policy of a listener for which nobody set one: certificates
// are never the owner's.
var anyone = auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error { return nil })

func listen(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	if cfg.Authorizer == nil {
		cfg.Authorizer = anyone
	}
	return tls.Listen(ctx, a, cfg, as("server"))
}

func dial(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
	a, err := endpoint.Parse(addr)
	if err != nil {
		return nil, err
	}
	c, err := tls.Dial(ctx, a, cfg, as("client"))
	if err != nil {
		return nil, err
	}
	return c, nil
}
