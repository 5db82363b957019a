// SPDX-License-Identifier: Apache-2.0

// Greeter moves a gRPC service from a unix socket to shared memory to TLS:
// stubs and handlers stay as they are, and only the address changes.
//
// It prints:
//
//	unix: hello, you (known by kernel)
//	shm: hello, you (known by kernel)
//	tls: hello, you (known by tls)
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/peer"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/policy"
	greeter "github.com/parley-ipc/parley/proto/greeter/v1"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport/tls"
)

// service greets, and says how it knows whom.
type service struct{ greeter.Polite }

func (s service) Greet(ctx context.Context, r *greeter.GreetRequest) (*greeter.GreetResponse, error) {
	answer, err := s.Polite.Greet(ctx, r)
	if p, ok := peer.FromContext(ctx); ok && err == nil {
		answer.Text += fmt.Sprintf(" (known by %s)", p.AuthInfo.(auth.Identity).Method)
	}
	return answer, err
}

// certificates issues one for each side and returns how both use them.
func certificates(dir string) (server, client tls.Config, err error) {
	err = ca.Init(dir, "example", time.Hour)
	use := func(name string) tls.Config {
		request := ca.Request{SPIFFE: "spiffe://example/" + name, Name: name, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Validity: time.Hour}
		_, issueErr := ca.Issue(dir, request)
		err = errors.Join(err, issueErr)
		return tls.Config{CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key"), CAFile: filepath.Join(dir, ca.CertName)}
	}
	return use("server"), use("client"), err
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	serverTLS, clientTLS, err := certificates(filepath.Join(dir, "ca"))
	if err != nil {
		return err
	}
	rules, err := policy.New([]policy.Rule{ // ourselves are admitted anyway
		{Who: []string{"spiffe://example/client"}, May: []auth.Action{auth.Connect, auth.Call}, On: []string{"endpoint:tls://**", "rpc:/**"}},
	}, policy.Options{})
	if err != nil {
		return err
	}
	server := rpc.NewServer(rpc.ServerConfig{Authorizer: rules, Listen: parley.ListenConfig{TLS: serverTLS}})
	greeter.RegisterGreeterServer(server, service{})
	defer server.Stop()
	for _, where := range []string{"unix://" + dir + "/unix", "shm://" + dir + "/shm", "tls://127.0.0.1:0"} {
		ln, err := server.Listen(ctx, where)
		if err != nil {
			return err
		}
		go func() { _ = server.Serve(ln) }()
		client, err := rpc.NewClient(rpc.ClientConfig{Address: ln.Address().String(), Dialer: parley.Dialer{TLS: clientTLS}})
		if err != nil {
			return err
		}
		answer, err := greeter.NewGreeterClient(client).Greet(ctx, &greeter.GreetRequest{Name: "you"})
		if err := errors.Join(err, client.Close()); err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", ln.Address().Scheme, answer.GetText())
	}
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}
