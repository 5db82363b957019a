// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/rpc"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	pb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

// privateNames keeps an example's names apart from everybody's.
func privateNames() (done func()) {
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		panic(err)
	}
	before := os.Getenv("PARLEY_RUNTIME_DIR")
	_ = os.Setenv("PARLEY_RUNTIME_DIR", dir)
	return func() {
		_ = os.Setenv("PARLEY_RUNTIME_DIR", before)
		_ = os.RemoveAll(dir)
	}
}

func Example() {
	defer privateNames()()
	ctx := context.Background()

	ln, err := parley.Listen(ctx, "shm://web")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello through memory, %s", r.URL.Path)
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()

	var d parley.Dialer
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.Dial(ctx, "shm://web") },
	}}
	answer, err := client.Get("http://web/you")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(answer.Body)
	fmt.Printf("%s %s %v\n", answer.Status, text, err)
	answer.Body.Close()
	client.CloseIdleConnections()
	fmt.Println(server.Shutdown(ctx), <-ended)
	// Output:
	// 200 OK hello through memory, /you <nil>
	// <nil> http: Server closed
}

// Arith is served by net/rpc.
type Arith struct{}

func (Arith) Double(n int, twice *int) error { *twice = 2 * n; return nil }

func ExampleListen_netRPC() {
	defer privateNames()()
	ctx := context.Background()

	ln, err := parley.Listen(ctx, "shm://arith")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := rpc.NewServer()
	ended := make(chan error, 1)
	go func() {
		err := server.Register(Arith{})
		if conn, aerr := ln.AcceptConn(ctx); aerr == nil {
			server.ServeConn(conn)
		}
		ended <- errors.Join(err, ln.Close())
	}()

	conn, err := parley.Dial(ctx, "shm://arith")
	if err != nil {
		fmt.Println(err)
		return
	}
	client := rpc.NewClient(conn)
	var twice int
	err = client.Call("Arith.Double", 21, &twice)
	fmt.Println(twice, err, client.Close(), <-ended)
	// Output: 42 <nil> <nil> <nil>
}

func ExampleDialer_grpc() {
	defer privateNames()()
	ctx := context.Background()

	ln, err := parley.Listen(ctx, "shm://health")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := grpc.NewServer()
	pb.RegisterHealthServer(server, health.NewServer())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()

	d := parley.Dialer{WaitFor: time.Second}
	cc, err := grpc.NewClient("passthrough:///shm://health",
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return d.Dial(ctx, address) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := pb.NewHealthClient(cc).Check(ctx, &pb.HealthCheckRequest{})
	fmt.Println(answer.GetStatus(), err, cc.Close())
	server.GracefulStop()
	fmt.Println(<-ended)
	// Output:
	// SERVING <nil> <nil>
	// <nil>
}

func ExampleDial() {
	defer privateNames()()
	ctx := context.Background()

	_, err := parley.Dial(ctx, "shm://orders")
	fmt.Println(errors.Is(err, fault.Unavailable), err)

	ln, err := parley.Listen(ctx, "shm://orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	conn, err := parley.Dial(ctx, "shm://orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Println(conn.Peer().String() == auth.Self().String(), conn.Peer().Method)
	// Output:
	// true dial shm://orders: unavailable: nobody listens there: there is no socket (start the listener, or check the name with `parley ls`)
	// true kernel
}
