// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/internal/rpctest"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/tls"
)

// destination is where a child finds a server, and how. It travels as JSON.
type destination struct {
	Address string
	Stock   bool // by grpc-go
	NoRoom  bool // for shared memory

	Cert, Key, CA string // tls
}

func (d destination) text(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (d destination) dial() (rpctest.Client, error) {
	dialer := parley.Dialer{TLS: tls.Config{CertFile: d.Cert, KeyFile: d.Key, CAFile: d.CA}, AllowExec: true}
	if d.NoRoom {
		dialer.SHM.Budget = &shm.Budget{Max: 1}
	}
	if !d.Stock {
		return rpc.NewClient(rpc.ClientConfig{Address: d.Address, Dialer: dialer})
	}
	if d.CA != "" {
		dialer.TLS.NextProtos = []string{"h2"}
	}
	return grpc.NewClient("passthrough:///peer", grpc.WithAuthority("localhost"),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dialer.Dial(ctx, d.Address) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func roles() map[string]proctest.Role {
	all := stormPlace.StormRoles()
	all["interop"] = playInterop
	all["on stdio"] = serveStdio
	all["server"], all["stock"] = serverRole, stockRole
	return all
}

// playInterop is a child that plays one case.
func playInterop(p *proctest.Self) error {
	var d destination
	if err := json.Unmarshal([]byte(p.Args[1]), &d); err != nil {
		return err
	}
	cc, err := d.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := rpctest.Interop(ctx, p.Args[0], cc); err != nil {
		return err
	}
	return cc.Close()
}

// serveStdio is a server that its client has started.
func serveStdio(*proctest.Self) error {
	s := rpc.NewServer(rpc.ServerConfig{Authorizer: everyone})
	rpctest.RegisterInterop(s)
	ln, err := s.Listen(context.Background(), "stdio:")
	if err != nil {
		return err
	}
	return s.Serve(ln)
}

// TestInterop: gRPC's own interoperability cases, each in a child, over every
// transport, by our client and by grpc-go's.
func TestInterop(t *testing.T) {
	for _, w := range longWays() {
		if w.name == "inproc" {
			continue // a child is another process
		}
		t.Run(w.name, func(t *testing.T) {
			server := w.backend().Serve(t, rpctest.ServerOptions{}, rpctest.RegisterInterop).(*ourServer)
			defer server.Stop()
			d := destination{Address: server.address, Stock: w.stock, NoRoom: w.budget != nil, Cert: server.dialer.TLS.CertFile, Key: server.dialer.TLS.KeyFile, CA: server.dialer.TLS.CAFile}
			playAll(t, d)
			if d.NoRoom && server.Fallbacks() == 0 {
				t.Error("nothing fell back: the cases had shared memory after all")
			}
		})
	}
	if raced {
		return
	}
	t.Run("exec", func(t *testing.T) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		address := endpoint.Address{Scheme: endpoint.Exec, Args: []string{"env", proctest.Environ("on stdio"), self}}
		playAll(t, destination{Address: address.String()})
	})
}

func playAll(t *testing.T, d destination) {
	t.Helper()
	for _, name := range rpctest.InteropCases() {
		t.Run(name, func(t *testing.T) {
			if err := proctest.Start(t, "interop", name, d.text(t)).Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}
