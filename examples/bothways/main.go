// SPDX-License-Identifier: Apache-2.0

// Bothways makes calls in both directions on one connection: a client serves a
// greeter of its own, which the server calls before it answers.
//
// It prints:
//
//	the server asked its client, which said: welcome, server
//	the client was answered: hello, client
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	greeter "github.com/parley-ipc/parley/proto/greeter/v1"
	"github.com/parley-ipc/parley/rpc"
)

// curious greets its caller only after it has been greeted by it.
type curious struct{ greeter.Polite }

func (c curious) Greet(ctx context.Context, r *greeter.GreetRequest) (*greeter.GreetResponse, error) {
	caller, ok := rpc.PeerFromContext(ctx)
	if !ok {
		return nil, status.Error(codes.FailedPrecondition, "we greet only who can be called")
	}
	answer, err := greeter.NewGreeterClient(caller).Greet(ctx, &greeter.GreetRequest{Name: "server"})
	if err != nil {
		return nil, err
	}
	fmt.Println("the server asked its client, which said:", answer.GetText())
	return c.Polite.Greet(ctx, r)
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	address := "shm://" + filepath.Join(dir, "greeter")
	server := rpc.NewServer(rpc.ServerConfig{})
	greeter.RegisterGreeterServer(server, curious{})
	ln, err := server.Listen(ctx, address)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	client, err := rpc.NewClient(rpc.ClientConfig{
		Address:  address,
		Services: func(r grpc.ServiceRegistrar) { greeter.RegisterGreeterServer(r, greeter.Polite{Greeting: "welcome"}) },
	})
	if err != nil {
		return err
	}
	answer, err := greeter.NewGreeterClient(client).Greet(ctx, &greeter.GreetRequest{Name: "client"})
	if err == nil {
		fmt.Println("the client was answered:", answer.GetText())
	}
	err = errors.Join(err, client.Close())
	server.GracefulStop()
	return errors.Join(err, <-served)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}
