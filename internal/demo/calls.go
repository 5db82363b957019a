// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/measure"
	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/policy"
	pb "github.com/parley-ipc/parley/proto/stage/v1"
	"github.com/parley-ipc/parley/rpc"
)

// calling is a row about calls to another process over shared memory.
func calling(name string, run func(context.Context, *peer.Peer, *rpc.Client) (finding, error)) mechanism {
	return shown(name, func(ctx context.Context, stage *peer.Stage) (f finding, err error) {
		p, err := stage.Calls(ctx, endpoint.SHM, false, callRules())
		if err != nil {
			return f, err
		}
		defer func() { err = errors.Join(err, p.Close()) }()
		c, err := p.Client(func(r grpc.ServiceRegistrar) { pb.RegisterStageServer(r, new(peer.CallStage)) })
		if err != nil {
			return f, err
		}
		defer func() { _ = c.Close() }()
		return run(ctx, p, c)
	})
}

// callRules refuse one method to ourselves.
func callRules() []policy.Rule {
	return []policy.Rule{{
		Who: []string{ourselves(auth.Kernel).Who}, May: []auth.Action{auth.Call},
		On: []string{"rpc:" + pb.Stage_Forbidden_FullMethodName}, Deny: true,
	}}
}

// unaryCalls: each answer is that of its request.
func unaryCalls(ctx context.Context, _ *peer.Peer, c *rpc.Client) (finding, error) {
	const count = 2000
	client := pb.NewStageClient(c)
	took := make([]time.Duration, 0, count)
	for i := range count {
		body := fmt.Appendf(nil, "%064d", i)
		begin := time.Now()
		r, err := client.Echo(ctx, &pb.Payload{Body: body})
		took = append(took, time.Since(begin))
		if err != nil || !bytes.Equal(r.GetBody(), body) {
			return finding{}, fmt.Errorf("call %d was answered %q: %w", i, r.GetBody(), err)
		}
	}
	p50 := measure.Median(took)
	return finding{fmt.Sprintf("%d calls of 64 bytes, each answered; half within %s µs", count, measure.Microseconds(p50)),
		map[string]any{"calls": count, "p50_ns": p50}}, nil
}

// serverStream: what was ordered comes, and then its end.
func serverStream(ctx context.Context, _ *peer.Peer, c *rpc.Client) (finding, error) {
	const count, size = 5000, 1024
	stream, err := pb.NewStageClient(c).Pour(ctx, &pb.Order{Count: count, Size: size})
	if err != nil {
		return finding{}, err
	}
	for n := 0; ; n++ {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) && n == count {
			return finding{fmt.Sprintf("%d messages of 1 KiB came, then the end", count), map[string]any{"messages": count, "size": size}}, nil
		}
		if err != nil || len(r.GetBody()) != size {
			return finding{}, fmt.Errorf("message %d has %d bytes: %w", n, len(r.GetBody()), err)
		}
	}
}

// clientStream: what was sent has arrived.
func clientStream(ctx context.Context, _ *peer.Peer, c *rpc.Client) (finding, error) {
	const count, size = 5000, 1024
	stream, err := pb.NewStageClient(c).Collect(ctx)
	if err != nil {
		return finding{}, err
	}
	for range count {
		if err := stream.Send(&pb.Payload{Body: make([]byte, size)}); err != nil {
			return finding{}, err
		}
	}
	total, err := stream.CloseAndRecv()
	if err == nil && (total.GetMessages() != count || total.GetBytes() != count*size) {
		err = fmt.Errorf("%v arrived", total)
	}
	return finding{fmt.Sprintf("%d messages of 1 KiB arrived", total.GetMessages()), map[string]any{"messages": count, "size": size}}, err
}

// bothStreams: a conversation, message by message.
func bothStreams(ctx context.Context, _ *peer.Peer, c *rpc.Client) (finding, error) {
	const count = 1000
	stream, err := pb.NewStageClient(c).Talk(ctx)
	if err != nil {
		return finding{}, err
	}
	for i := range count {
		body := fmt.Append(nil, i)
		if err := stream.Send(&pb.Payload{Body: body}); err != nil {
			return finding{}, err
		}
		r, err := stream.Recv()
		if err != nil || !bytes.Equal(r.GetBody(), body) {
			return finding{}, fmt.Errorf("message %d came back as %q: %w", i, r.GetBody(), err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return finding{}, err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return finding{}, fmt.Errorf("the stream ended with: %w", err)
	}
	return finding{fmt.Sprintf("%d messages there and back, one by one, then the end", count), map[string]any{"messages": count}}, nil
}

// deadlineCall: it ends the call here, and the handler there.
func deadlineCall(ctx context.Context, _ *peer.Peer, c *rpc.Client) (finding, error) {
	limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	return givenUp(ctx, c, limited, codes.DeadlineExceeded)
}

// cancelled: likewise, by our own will, once the handler runs.
func cancelled(ctx context.Context, _ *peer.Peer, c *rpc.Client) (finding, error) {
	ours, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_ = awaitWaits(ctx, pb.NewStageClient(c), func(w *pb.Waits) bool { return w.GetBegun() == 1 })
	}()
	return givenUp(ctx, c, ours, codes.Canceled)
}

func givenUp(ctx context.Context, c *rpc.Client, limited context.Context, want codes.Code) (finding, error) {
	client := pb.NewStageClient(c)
	begin := time.Now()
	_, err := client.Wait(limited, new(pb.Payload))
	took := time.Since(begin)
	if status.Code(err) != want {
		return finding{}, fmt.Errorf("the call ended with: %w", err)
	}
	err = awaitWaits(ctx, client, func(w *pb.Waits) bool { return w.GetBegun() == w.GetEnded() })
	return finding{fmt.Sprintf("%s after %s ms, and the handler ended, too", want, milliseconds(took)), map[string]any{"took_ns": took}}, err
}

// awaitWaits asks until the peer's Waits are as wanted.
func awaitWaits(ctx context.Context, client pb.StageClient, wanted func(*pb.Waits) bool) error {
	for tick := time.NewTicker(time.Millisecond); ; {
		w, err := client.Gone(ctx, new(pb.Payload))
		if err != nil || wanted(w) {
			tick.Stop()
			return err
		}
		<-tick.C
	}
}

// callBack: the server calls us on the connection that we have made.
func callBack(ctx context.Context, _ *peer.Peer, c *rpc.Client) (finding, error) {
	r, err := pb.NewStageClient(c).Back(ctx, &pb.Payload{Body: []byte("round about")})
	if err == nil && string(r.GetBody()) != "round about" {
		err = fmt.Errorf("it came back as %q", r.GetBody())
	}
	return finding{"the server called its client on the same connection, and was answered", nil}, err
}

// passedFile: an open file is the argument of a call.
func passedFile(ctx context.Context, _ *peer.Peer, c *rpc.Client) (finding, error) {
	f, err := os.CreateTemp("", "parley")
	if err != nil {
		return finding{}, err
	}
	defer func() { _ = f.Close() }()
	const text = "written here, read there"
	_, err = f.WriteString(text)
	if err = errors.Join(os.Remove(f.Name()), err); err != nil {
		return finding{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return finding{}, err
	}
	r, err := pb.NewStageClient(c).Read(rpc.AttachFiles(ctx, f), new(pb.Payload))
	if err == nil && string(r.GetBody()) != text {
		err = fmt.Errorf("the peer read %q", r.GetBody())
	}
	return finding{"a file without a name went with a call, and the server read it", nil}, err
}

// stockClient: grpc-go's client calls at the same socket.
func stockClient(ctx context.Context, p *peer.Peer, _ *rpc.Client) (finding, error) {
	socket := strings.TrimPrefix(p.Address().String(), "shm://")
	cc, err := grpc.NewClient("passthrough:///demo", grpc.WithAuthority("localhost"),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return finding{}, err
	}
	defer func() { _ = cc.Close() }()
	r, err := pb.NewStageClient(cc).Echo(ctx, &pb.Payload{Body: []byte("by HTTP/2")})
	if err == nil && string(r.GetBody()) != "by HTTP/2" {
		err = fmt.Errorf("it was answered %q", r.GetBody())
	}
	return finding{"grpc-go's own client, on the same socket: answered", nil}, err
}

// refusedMethod: policy refuses one method, and no other.
func refusedMethod(ctx context.Context, _ *peer.Peer, c *rpc.Client) (finding, error) {
	if os.Geteuid() < 0 {
		return finding{}, fault.New(fault.Unsupported, "make a rule", "", errors.New("users have no numbers here"))
	}
	client := pb.NewStageClient(c)
	_, err := client.Forbidden(ctx, new(pb.Payload))
	if status.Code(err) != codes.PermissionDenied {
		return finding{}, fmt.Errorf("the refused method ended with: %w", err)
	}
	if _, err := client.Echo(ctx, new(pb.Payload)); err != nil {
		return finding{}, err
	}
	return finding{fmt.Sprintf("a rule refuses %s one method: PermissionDenied; the next call was answered", ourselves(auth.Kernel).Who), nil}, nil
}
