// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/policy"
	pb "github.com/parley-ipc/parley/proto/stage/v1"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport/shm"
)

// serveCalls serves the Stage until ctx ends.
func serveCalls(ctx context.Context, role Role, tell func(Event)) error {
	rules, err := policy.New(role.Rules, policy.Options{})
	if err != nil {
		return err
	}
	lc := parley.ListenConfig{TLS: role.tls()}
	if role.Stock {
		return serveStock(ctx, role, lc, tell)
	}
	server := rpc.NewServer(rpc.ServerConfig{Authorizer: rules, Listen: lc, SHM: shm.Options{Spin: role.Spin}})
	pb.RegisterStageServer(server, new(CallStage))
	ln, err := server.Listen(ctx, role.Address)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, server.Stop)()
	tell(Event{What: Listening, Address: ln.Address().String()})
	return server.Serve(ln)
}

// serveStock is grpc-go on the same transport, to compare with.
func serveStock(ctx context.Context, role Role, lc parley.ListenConfig, tell func(Event)) error {
	ln, err := lc.Listen(ctx, role.Address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	pb.RegisterStageServer(server, new(CallStage))
	defer context.AfterFunc(ctx, server.Stop)()
	tell(Event{What: Listening, Address: ln.Address().String()})
	return server.Serve(ln)
}

// Calls starts a process that serves calls by scheme: rpc's, or grpc-go's with
// stock. rules are about the calls; nil admits us and nobody else.
func (s *Stage) Calls(ctx context.Context, scheme endpoint.Scheme, stock bool, rules []policy.Rule) (*Peer, error) {
	p := &Peer{stage: s, scheme: scheme}
	p.listen = Role{Calls: true, Stock: stock, Rules: rules, Spin: s.Spin}
	p.client.Spin = s.Spin
	var err error
	if p.listen.Address, err = s.address(scheme, false); err != nil {
		return nil, err
	}
	name := "calls"
	if stock {
		name = "stock"
	}
	if scheme == endpoint.SHM || scheme == endpoint.Unix || scheme == endpoint.FIFO {
		p.listen.Address = string(scheme) + "://" + filepath.Join(s.dir, name+"."+string(scheme))
	}
	if scheme == endpoint.TLS {
		if p.listen, err = s.as(p.listen, "server"); err == nil {
			p.client, err = s.as(p.client, "client")
		}
		who := policy.Rule{Who: []string{ClientName}, May: []auth.Action{auth.Connect, auth.Call}, On: []string{"endpoint:tls://**", "rpc:/**"}}
		p.listen.Rules = append(p.listen.Rules, who)
	}
	if err == nil {
		err = p.run(ctx)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Client returns a client of a peer that serves calls. services may be nil; it
// registers what the peer may call on us.
func (p *Peer) Client(services func(grpc.ServiceRegistrar)) (*rpc.Client, error) {
	return rpc.NewClient(rpc.ClientConfig{
		Address:  p.addr.String(),
		Dialer:   parley.Dialer{TLS: p.client.tls(), SHM: shm.Options{Spin: p.client.Spin}},
		Services: services,
	})
}

// CallStage implements the Stage. Its zero value works.
type CallStage struct {
	pb.UnimplementedStageServer
	begun, ended atomic.Int64
}

var _ pb.StageServer = (*CallStage)(nil)

// Echo sends back what it is sent.
func (*CallStage) Echo(_ context.Context, r *pb.Payload) (*pb.Payload, error) { return r, nil }

// maxPour is the largest message that can be ordered.
const maxPour = 4 << 20

// Pour sends what was ordered.
func (*CallStage) Pour(r *pb.Order, stream grpc.ServerStreamingServer[pb.Payload]) error {
	if r.GetSize() < 0 || r.GetSize() > maxPour {
		return status.Errorf(codes.InvalidArgument, "messages of %d bytes: at most %d", r.GetSize(), maxPour)
	}
	answer := &pb.Payload{Body: make([]byte, r.GetSize())}
	for range r.GetCount() {
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
	return nil
}

// Collect counts messages and bytes.
func (*CallStage) Collect(stream grpc.ClientStreamingServer[pb.Payload, pb.Total]) error {
	total := new(pb.Total)
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(total)
		}
		if err != nil {
			return err
		}
		total.Messages++
		total.Bytes += int64(len(r.GetBody()))
	}
}

// Talk sends each message back.
func (*CallStage) Talk(stream grpc.BidiStreamingServer[pb.Payload, pb.Payload]) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(r); err != nil {
			return err
		}
	}
}

// Wait waits until the call is given up.
func (s *CallStage) Wait(ctx context.Context, _ *pb.Payload) (*pb.Payload, error) {
	s.begun.Add(1)
	<-ctx.Done()
	s.ended.Add(1)
	return nil, status.FromContextError(ctx.Err()).Err()
}

// Gone tells how many Waits there were.
func (s *CallStage) Gone(context.Context, *pb.Payload) (*pb.Waits, error) {
	return &pb.Waits{Begun: s.begun.Load(), Ended: s.ended.Load()}, nil
}

// Back calls the caller.
func (*CallStage) Back(ctx context.Context, r *pb.Payload) (*pb.Payload, error) {
	caller, ok := rpc.PeerFromContext(ctx)
	if !ok {
		return nil, status.Error(codes.FailedPrecondition, "this connection carries calls one way only")
	}
	return pb.NewStageClient(caller).Echo(ctx, r)
}

// maxRead bounds what Read returns.
const maxRead = 1 << 20

// Read returns what is in the file that came with the call.
func (*CallStage) Read(ctx context.Context, _ *pb.Payload) (*pb.Payload, error) {
	files := rpc.Files(ctx)
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	if len(files) != 1 {
		return nil, status.Errorf(codes.InvalidArgument, "%d files came, not one", len(files))
	}
	body, err := io.ReadAll(io.LimitReader(files[0], maxRead))
	return &pb.Payload{Body: body}, err
}

// Forbidden answers whoever policy lets through.
func (*CallStage) Forbidden(_ context.Context, r *pb.Payload) (*pb.Payload, error) { return r, nil }

// Usage is our process and its processor time.
func (*CallStage) Usage(context.Context, *pb.Payload) (*pb.Time, error) {
	return &pb.Time{Pid: int64(os.Getpid()), CpuNs: int64(measure.OwnCPU())}, nil
}
