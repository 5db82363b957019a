// SPDX-License-Identifier: Apache-2.0

package tls_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tls"
)

func Example() {
	if err := run(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: spiffe://corp.example/web says hello to dns:localhost
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "tls")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := ca.Init(dir, "corp", 0); err != nil {
		return err
	}
	server, err := ca.Issue(dir, ca.Request{DNS: []string{"localhost"}, Server: true})
	if err != nil {
		return err
	}
	client, err := ca.Issue(dir, ca.Request{SPIFFE: "spiffe://corp.example/web", Client: true})
	if err != nil {
		return err
	}
	trust := filepath.Join(dir, ca.CertName)

	onlyWeb := auth.AuthorizerFunc(func(_ context.Context, id auth.Identity, _ auth.Action, _ string) error {
		if id.String() != "spiffe://corp.example/web" {
			return fault.Denied
		}
		return nil
	})
	addr, err := endpoint.Parse("tls://localhost:0")
	if err != nil {
		return err
	}
	l, err := tls.Listen(ctx, addr, transport.ListenConfig{Authorizer: onlyWeb},
		tls.Config{CertFile: server.CertFile, KeyFile: server.KeyFile, CAFile: trust})
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()

	c, err := tls.Dial(ctx, l.Address(), transport.DialConfig{}, tls.Config{CertFile: client.CertFile, KeyFile: client.KeyFile, CAFile: trust})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	s, err := l.AcceptConn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	said, err := io.ReadAll(s)
	if err != nil {
		return err
	}
	fmt.Printf("%s says %s to %s\n", s.Peer(), said, c.Peer())
	return nil
}
