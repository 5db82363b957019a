// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/internal/rpctest"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/tls"
)

// way is how a client reaches our server in a test.
type way struct {
	name    string
	address func(t testing.TB) string
	stock   bool        // by a grpc-go client
	budget  *shm.Budget // of a client that has none: it falls back to the socket
	trusted bool        // both sides read in place
	ring    int         // of both sides
	certs   func(t testing.TB) (server, client tls.Config)
}

func inDir(scheme string) func(testing.TB) string {
	return func(t testing.TB) string {
		t.Helper()
		return scheme + "://" + filepath.Join(rpctest.ShortDir(t), "s")
	}
}

func onLoopback(scheme string) func(testing.TB) string {
	return func(testing.TB) string { return scheme + "://127.0.0.1:0" }
}

// ways are all of them.
func ways() []way {
	return []way{
		{name: "shm", address: inDir("shm")},
		{name: "unix", address: inDir("unix")},
		{name: "shm, trusted", address: inDir("shm"), trusted: true},
		{name: "tcp", address: onLoopback("tcp")},
		{name: "tls", address: onLoopback("tls"), certs: certificates},
		{name: "fifo", address: inDir("fifo")},
		{name: "inproc", address: func(t testing.TB) string { return "inproc://" + filepath.Base(rpctest.ShortDir(t)) }},
		{name: "shm that falls back", address: inDir("shm"), budget: &shm.Budget{Max: 1}},
		{name: "grpc-go client over unix", address: inDir("unix"), stock: true},
		{name: "grpc-go client over shm", address: inDir("shm"), stock: true},
		{name: "grpc-go client over tcp", address: onLoopback("tcp"), stock: true},
		{name: "grpc-go client over tls", address: onLoopback("tls"), stock: true, certs: certificates},
	}
}

// longWays are those that the long tests go: under the race detector only
// those that differ in what is ours.
func longWays() []way {
	if raced {
		return ways()[:3]
	}
	return ways()
}

// certificates of a server and a client, which are made once.
func certificates(t testing.TB) (server, client tls.Config) {
	t.Helper()
	dir, err := issued()
	if err != nil {
		t.Fatal(err)
	}
	config := func(name string) tls.Config {
		return tls.Config{CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key"), CAFile: filepath.Join(dir, ca.CertName)}
	}
	return config("server"), config("client")
}

const clientName = "spiffe://test/client"

var issued = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ca") // of the whole run; TestMain removes it
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() { _ = os.RemoveAll(dir) })
	if err := ca.Init(dir, "test", time.Hour); err != nil {
		return "", err
	}
	for name, id := range map[string]string{"server": "spiffe://test/server", "client": clientName} {
		request := ca.Request{SPIFFE: id, Name: name, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Validity: time.Hour}
		if _, err := ca.Issue(dir, request); err != nil {
			return "", err
		}
	}
	return dir, nil
})

// listen and dialer are how the two sides begin that way.
func (w way) listen(t testing.TB) parley.ListenConfig {
	t.Helper()
	if w.certs == nil {
		return parley.ListenConfig{}
	}
	server, _ := w.certs(t)
	return parley.ListenConfig{TLS: server}
}

func (w way) dialer(t testing.TB) parley.Dialer {
	t.Helper()
	d := parley.Dialer{SHM: w.shm()}
	if w.certs != nil {
		_, d.TLS = w.certs(t)
	}
	return d
}

func (w way) shm() shm.Options {
	return shm.Options{Budget: w.budget, Trusted: w.trusted, RingSize: w.ring}
}

// backend is our server reached that way.
func (w way) backend() rpctest.Backend {
	return rpctest.Backend{Name: w.name, Serve: func(t testing.TB, o rpctest.ServerOptions, register func(grpc.ServiceRegistrar)) rpctest.Server {
		t.Helper()
		s := rpc.NewServer(rpc.ServerConfig{
			Authorizer:        everyone,
			Logger:            slog.New(slog.NewTextHandler(t.Output(), nil)),
			Listen:            w.listen(t),
			SHM:               shm.Options{Trusted: w.trusted, RingSize: w.ring},
			UnaryInterceptors: o.Unary, StreamInterceptors: o.Stream,
			Limits: rpc.Limits{MaxMessage: o.MaxRecv, MaxSendMessage: o.MaxSend, MaxStreams: o.MaxStreams, MaxHeader: o.MaxHeader},
		})
		register(s)
		ln, err := s.Listen(t.Context(), w.address(t))
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() { defer close(served); _ = s.Serve(ln) }()
		return &ourServer{s, served, ln.Address().String(), w, w.dialer(t)}
	}}
}

// ourServer is a server of ours with its listener.
type ourServer struct {
	*rpc.Server
	served  chan struct{}
	address string
	way     way
	dialer  parley.Dialer
}

func (s *ourServer) Stop() {
	s.Server.Stop()
	<-s.served
}

func (s *ourServer) GracefulStop() {
	s.Server.GracefulStop()
	<-s.served
}

func (s *ourServer) Dial(t testing.TB, o rpctest.ClientOptions) rpctest.Client {
	t.Helper()
	if s.way.stock {
		d := s.dialer
		if s.way.certs != nil {
			d.TLS.NextProtos = []string{"h2"}
		}
		return rpctest.DialStock(t, func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, s.address) }, o)
	}
	c, err := rpc.NewClient(rpc.ClientConfig{
		Address: s.address, Dialer: s.dialer, UnaryInterceptors: o.Unary, StreamInterceptors: o.Stream,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestParity: each scene is the same with us as with grpc-go.
func TestParity(t *testing.T) {
	var backends []rpctest.Backend
	for _, w := range longWays() {
		backends = append(backends, w.backend())
	}
	rpctest.Parity(t, backends...)
}
