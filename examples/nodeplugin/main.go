// SPDX-License-Identifier: Apache-2.0

// Nodeplugin hosts the plugin of examples/plugin, written in Node.js
// (examples/node/plugin.js): gRPC on a socket that it inherits, and restarted
// when it fails. It needs node, and once "npm ci" in examples/node; run it from
// the top of the module.
//
// It prints:
//
//	plugin: greeting host
//	host: hello from Node, host
//	host: the plugin has crashed: Unavailable
//	plugin: greeting host again
//	host: hello from Node, host again
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/child"
	greeter "github.com/parley-ipc/parley/proto/greeter/v1"
)

func run(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	plugin, err := child.Start(ctx, child.Config{
		Path: "node", Args: []string{"examples/node/plugin.js"},
		Socket:  true, // Node shares no memory
		Stderr:  os.Stdout,
		Restart: child.OnFailure,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plugin.Stop(ctx)) }()

	// Each connection is that of the plugin's current life.
	conn, err := grpc.NewClient("passthrough:///plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			p, err := plugin.Await(ctx)
			if err != nil {
				return nil, err
			}
			return p.Conn(), nil
		}))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := greeter.NewGreeterClient(conn)
	for _, name := range []string{"host", "crash", "host again"} {
		answer, err := client.Greet(ctx, &greeter.GreetRequest{Name: name}, grpc.WaitForReady(true))
		if name == "crash" {
			fmt.Println("host: the plugin has crashed:", status.Code(err))
			continue
		}
		if err != nil {
			return err
		}
		fmt.Println("host:", answer.GetText())
	}
	return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
