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

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
	greeter "github.com/parley-ipc/parley/proto/greeter/v1"
	"github.com/parley-ipc/parley/rpc"
)

// greet is the command "greeter [-stock | -mute | -closed] ADDR…" of the
// scripts: a greeter on the addresses, and on net:HOST:PORT or net:PATH, where
// there is no transport of Parley's at all. With -stock grpc-go serves it;
// -mute is -stock without reflection; -closed is ours, and lets nobody in.
func greet() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addresses, how := os.Args[1:], ""
	if strings.HasPrefix(addresses[0], "-") {
		addresses, how = addresses[1:], addresses[0]
	}
	server, listen, err := greeterServer(how)
	ended := make(chan error, len(addresses))
	for _, address := range addresses {
		var ln net.Listener
		if err == nil {
			ln, err = listen(ctx, address)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		go func() { ended <- server.Serve(ln) }()
	}
	select {
	case <-ctx.Done():
	case err := <-ended: // stdio: has ended
		if err != nil && !errors.Is(err, net.ErrClosed) {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	server.Stop()
	return 0
}

// greeting is grpc-go's server or ours.
type greeting interface {
	Serve(ln net.Listener) error
	Stop()
}

type listenFunc func(context.Context, string) (net.Listener, error)

func greeterServer(how string) (greeting, listenFunc, error) {
	if how == "" || how == "-closed" {
		rules, err := greeterRules(how)
		server := rpc.NewServer(rpc.ServerConfig{Authorizer: rules, Listen: parley.ListenConfig{TLS: greeterFlags().tls()}})
		greeter.RegisterGreeterServer(server, particular{})
		server.Health().SetServingStatus("asleep", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		return server, func(ctx context.Context, address string) (net.Listener, error) { return server.Listen(ctx, address) }, err
	}
	server := grpc.NewServer()
	greeter.RegisterGreeterServer(server, particular{})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	if how != "-mute" {
		reflection.Register(server)
	}
	return server, listenAnyhow, nil
}

// greeterRules let in the client of the scripts beside the owner, or nobody.
func greeterRules(how string) (auth.Authorizer, error) {
	if how == "-closed" {
		return auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error {
			return fault.New(fault.Denied, "authorize", "", nil)
		}), nil
	}
	return policy.New([]policy.Rule{{
		Who: []string{"spiffe://test/client"}, May: []auth.Action{auth.Connect, auth.Call}, On: []string{"*"},
	}}, policy.Options{})
}

func greeterFlags() *connectFlags {
	return &connectFlags{
		spin: "auto", cert: "server.crt", key: "server.key", ca: "ca.crt",
		allow: []string{"spiffe://test/client"}, protocols: []string{"h2"},
	}
}

func listenAnyhow(ctx context.Context, address string) (net.Listener, error) {
	plain, ok := strings.CutPrefix(address, "net:")
	if !ok {
		return (&app{timeout: 10 * time.Second, log: slog.New(slog.DiscardHandler)}).listen(ctx, greeterFlags(), address, nil)
	}
	network := "tcp"
	if strings.Contains(plain, "/") {
		network = "unix"
	}
	return new(net.ListenConfig).Listen(ctx, network, plain)
}

// particular greets as Polite does, but answers a name such as "code:7" with
// that code and "wait" never, sends the metadata "echo" back, and says by what
// agent and authority it was called.
type particular struct{ greeter.Polite }

func (p particular) Greet(ctx context.Context, r *greeter.GreetRequest) (*greeter.GreetResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	_ = grpc.SetHeader(ctx, metadata.MD{"echo": md.Get("echo"), "echo-bin": md.Get("echo-bin"), "agent": md.Get("user-agent"), "host": md.Get(":authority")})
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
