// SPDX-License-Identifier: Apache-2.0

// Node serves a greeter on a unix socket, where a client written in Node.js
// (client.js, with npm's @grpc/grpc-js) calls it. It needs node, and once
// "npm ci" in this directory; run it from the top of the module.
//
// It prints:
//
//	Greet: hello, Node
//	Count: hello, Node; hello, Node; hello, Node
//	Together: hello, one and two
//	Chat: hello, a; hello, b
//	Without a name: INVALID_ARGUMENT nobody to greet: give a name
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	greeter "github.com/parley-ipc/parley/proto/greeter/v1"
	"github.com/parley-ipc/parley/rpc"
)

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "greeter.sock")
	server := rpc.NewServer(rpc.ServerConfig{})
	greeter.RegisterGreeterServer(server, greeter.Polite{})
	ln, err := server.Listen(ctx, "unix://"+socket)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	client := exec.CommandContext(ctx, "node", "examples/node/client.js", socket)
	client.Stdout, client.Stderr = os.Stdout, os.Stderr
	err = client.Run()
	server.Stop()
	return errors.Join(err, <-served)
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
