// SPDX-License-Identifier: Apache-2.0

// Plugin is a host and its plugin: the plugin serves gRPC over shared memory
// that it inherits, calls its host back, and is restarted when it fails.
// examples/nodeplugin is the same with a plugin in Node.js.
//
// It prints:
//
//	plugin: greeting Ada
//	host: hello, Dr Ada
//	host: the plugin has crashed: Unavailable
//	plugin: greeting Grace
//	host: hello, Dr Grace
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/child"
	greeter "github.com/parley-ipc/parley/proto/greeter/v1"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport"
)

// plugin greets, with the title that its host knows.
type plugin struct {
	greeter.UnimplementedGreeterServer
}

func (plugin) Greet(ctx context.Context, in *greeter.GreetRequest) (*greeter.GreetResponse, error) {
	if in.GetName() == "crash" {
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "plugin: greeting", in.GetName())
	host, _ := rpc.PeerFromContext(ctx)
	titled, err := greeter.NewGreeterClient(host).Greet(ctx, in)
	if err != nil {
		return nil, err
	}
	return &greeter.GreetResponse{Text: "hello, " + titled.GetText()}, nil
}

func servePlugin(ctx context.Context) error {
	ln, err := child.Listen(ctx, child.ListenConfig{})
	if err != nil {
		return err
	}
	server := rpc.NewServer(rpc.ServerConfig{})
	greeter.RegisterGreeterServer(server, plugin{})
	return server.Serve(ln)
}

// titles is what the host serves to its plugin.
type titles struct {
	greeter.UnimplementedGreeterServer
}

func (titles) Greet(_ context.Context, in *greeter.GreetRequest) (*greeter.GreetResponse, error) {
	return &greeter.GreetResponse{Text: "Dr " + in.GetName()}, nil
}

func host(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	p, err := child.Start(ctx, child.Config{Path: os.Args[0], Args: []string{"plugin"}, Stderr: os.Stdout, Restart: child.OnFailure})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop(ctx)) }()
	client, err := rpc.NewClient(rpc.ClientConfig{
		DialConn: func(ctx context.Context) (transport.Conn, error) { // to the plugin's current life
			life, err := p.Await(ctx)
			if err != nil {
				return nil, err
			}
			return life.Conn(), nil
		},
		Services: func(s grpc.ServiceRegistrar) { greeter.RegisterGreeterServer(s, titles{}) },
	})
	if err != nil {
		return err
	}
	defer client.Close()
	for _, name := range []string{"Ada", "crash", "Grace"} {
		answer, err := greeter.NewGreeterClient(client).Greet(ctx, &greeter.GreetRequest{Name: name}, grpc.WaitForReady(true))
		switch {
		case name == "crash":
			fmt.Println("host: the plugin has crashed:", status.Code(err))
		case err != nil:
			return err
		default:
			fmt.Println("host:", answer.GetText())
		}
	}
	return nil
}

func main() {
	run := host
	if len(os.Args) > 1 {
		run = servePlugin
	}
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
