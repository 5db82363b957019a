// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	greeter "github.com/parley-ipc/parley/proto/greeter/v1"
)

// greet is the command "greeter [-mute] ADDR…" of the scripts: a greeter in a stock
// gRPC server, on the addresses of Parley and on net:HOST:PORT or net:PATH,
// where there is no Parley at all. With -mute it has no reflection.
func greet() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addresses, mute := os.Args[1:], false
	if len(addresses) > 0 && addresses[0] == "-mute" {
		addresses, mute = addresses[1:], true
	}
	server := grpc.NewServer()
	greeter.RegisterGreeterServer(server, particular{})
	state := health.NewServer()
	state.SetServingStatus("asleep", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	grpc_health_v1.RegisterHealthServer(server, state)
	if !mute {
		reflection.Register(server)
	}
	ended := make(chan error, len(addresses))
	for _, address := range addresses {
		ln, err := listenAnyhow(ctx, address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		go func() { ended <- server.Serve(ln) }()
	}
	select {
	case <-ctx.Done():
		server.Stop()
	case err := <-ended: // stdio: has ended
		if err != nil && !errors.Is(err, net.ErrClosed) {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return 0
}

func listenAnyhow(ctx context.Context, address string) (net.Listener, error) {
	plain, ok := strings.CutPrefix(address, "net:")
	if !ok {
		c := connectFlags{spin: "auto", cert: "server.crt", key: "server.key", ca: "ca.crt", allow: []string{"spiffe://test/client"}, protocols: []string{"h2"}}
		return (&app{timeout: 10 * time.Second, log: slog.New(slog.DiscardHandler)}).listen(ctx, &c, address, nil)
	}
	network := "tcp"
	if strings.Contains(plain, "/") {
		network = "unix"
	}
	return new(net.ListenConfig).Listen(ctx, network, plain)
}

// particular greets as Polite does, but answers a name such as "code:7" with
// that code and "wait" never, and sends the metadata "echo" back.
type particular struct{ greeter.Polite }

func (p particular) Greet(ctx context.Context, r *greeter.GreetRequest) (*greeter.GreetResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	_ = grpc.SetHeader(ctx, metadata.MD{"echo": md.Get("echo"), "echo-bin": md.Get("echo-bin")})
	_ = grpc.SetTrailer(ctx, metadata.Pairs("done", "yes"))
	if number, ok := strings.CutPrefix(r.GetName(), "code:"); ok {
		code, err := strconv.Atoi(number)
		if err != nil {
			return nil, err
		}
		st, err := status.New(codes.Code(code), "as you wish").WithDetails(r) //nolint:gosec // a code, of our own script
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	}
	if r.GetName() == "wait" {
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return p.Polite.Greet(ctx, r)
}

// protoset FILE writes the greeter's compiled descriptor set.
func protoset(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: protoset FILE")
	}
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(greeter.File_greeter_v1_greeter_proto)}}
	raw, err := proto.Marshal(set)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o600))
}
