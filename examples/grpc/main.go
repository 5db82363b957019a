// SPDX-License-Identifier: Apache-2.0

// Grpc runs stock grpc-go, both sides, over shared memory between two
// processes: generated stubs and handlers as they are (here those of gRPC's
// own health service), calls, a stream and a status.
//
// It prints:
//
//	Check: SERVING
//	Check of a service that is not there: NotFound
//	Watch: SERVING
//	Watch: NOT_SERVING
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	pb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley"
)

const address = "shm://example-grpc"

// serve serves until its parent closes stdin; a first line there makes it say
// that it no longer does.
func serve(ctx context.Context) error {
	ln, err := parley.Listen(ctx, address)
	if err != nil {
		return err
	}
	server, service := grpc.NewServer(), health.NewServer()
	pb.RegisterHealthServer(server, service)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	if _, err := os.Stdin.Read(make([]byte, 1)); err == nil {
		service.Shutdown()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
	server.Stop()
	return <-served
}

// call is a client; it writes to stop while it watches.
func call(ctx context.Context, stop io.Writer) error {
	d := parley.Dialer{WaitFor: 10 * time.Second}
	cc, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return d.Dial(ctx, addr) }),
		grpc.WithTransportCredentials(insecure.NewCredentials())) // the kernel says who is there
	if err != nil {
		return err
	}
	defer cc.Close()
	client := pb.NewHealthClient(cc)
	answer, err := client.Check(ctx, &pb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	fmt.Println("Check:", answer.GetStatus())
	_, err = client.Check(ctx, &pb.HealthCheckRequest{Service: "elsewhere"})
	fmt.Println("Check of a service that is not there:", status.Code(err))
	stream, err := client.Watch(ctx, &pb.HealthCheckRequest{})
	for err == nil {
		if answer, err = stream.Recv(); err != nil {
			break
		}
		fmt.Println("Watch:", answer.GetStatus())
		if answer.GetStatus() != pb.HealthCheckResponse_SERVING {
			return nil
		}
		_, err = io.WriteString(stop, "\n")
	}
	return err
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if len(os.Args) > 1 {
		return serve(ctx)
	}
	server := exec.CommandContext(ctx, os.Args[0], "serve") // the other process
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	err = call(ctx, stdin)
	return errors.Join(err, stdin.Close(), server.Wait())
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
