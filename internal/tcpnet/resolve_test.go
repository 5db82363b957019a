// SPDX-License-Identifier: Apache-2.0

package tcpnet

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
)

func ports(t *testing.T, all ...string) (list []netip.AddrPort) {
	t.Helper()
	for _, s := range all {
		list = append(list, netip.MustParseAddrPort(s))
	}
	return list
}

// TestCheckPlain: one address beyond loopback spoils the whole name.
func TestCheckPlain(t *testing.T) {
	tcp, insecure := endpoint.Address{Scheme: endpoint.TCP, Host: "h:1"}, endpoint.Address{Scheme: endpoint.TCP, Host: "h:1", Query: map[string]string{"insecure": "true"}}
	refused := endpoint.Address{Scheme: endpoint.TCP, Host: "h:1", Query: map[string]string{"insecure": "false"}}
	tls := endpoint.Address{Scheme: endpoint.TLS, Host: "h:1"}
	local, mixed := ports(t, "127.0.0.1:1", "[::1]:1", "127.9.9.9:1"), ports(t, "127.0.0.1:1", "192.0.2.1:1")
	for _, tt := range []struct {
		addr endpoint.Address
		all  []netip.AddrPort
		ok   bool
	}{
		{tcp, local, true},
		{tcp, mixed, false},
		{tcp, ports(t, "0.0.0.0:1"), false},
		{tcp, ports(t, "[::]:1"), false},
		{refused, mixed, false},
		{insecure, mixed, true},
		{tls, mixed, true},
	} {
		if err := checkPlain("dial", tt.addr, tt.all); (err == nil) != tt.ok || err != nil && !errors.Is(err, fault.Denied) {
			t.Errorf("%s as %v: %v, want allowed %v", tt.addr, tt.all, err, tt.ok)
		}
	}
}

func TestLocalSystem(t *testing.T) {
	got := localSystem(ports(t, "0.0.0.0:1", "[::]:2", "192.0.2.1:3"))
	if want := ports(t, "127.0.0.1:1", "127.0.0.1:2", "[::1]:2", "192.0.2.1:3"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCollide(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:1", "127.0.0.1:1", true},
		{"127.0.0.1:1", "127.0.0.1:2", false},
		{"127.0.0.1:1", "127.0.0.2:1", false},
		{"127.0.0.1:1", "[::]:1", true},
		{"127.0.0.1:1", ":1", true},
		{"127.0.0.1:1", "localhost:1", true},
		{"", "127.0.0.1:1", false},
	} {
		if got := collide(tt.a, tt.b); got != tt.want {
			t.Errorf("collide(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}
