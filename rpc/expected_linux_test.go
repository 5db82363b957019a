// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/rpc"
)

// stubborn has handlers that go on after their context has ended, until they
// may return.
type stubborn struct {
	pb.UnimplementedTestServiceServer
	begun, ended chan struct{}
	may          chan struct{}
}

func (s *stubborn) stay(ctx context.Context) error {
	s.begun <- struct{}{}
	<-ctx.Done()
	s.ended <- struct{}{}
	<-s.may
	return ctx.Err()
}

func (s *stubborn) EmptyCall(ctx context.Context, _ *pb.Empty) (*pb.Empty, error) {
	return nil, s.stay(ctx)
}

func (s *stubborn) FullDuplexCall(ss pb.TestService_FullDuplexCallServer) error {
	return s.stay(ss.Context())
}

// TestWaitForHandlers: with it Stop ends the handlers' contexts and returns
// when they have, on both doors; without, it does not wait.
func TestWaitForHandlers(t *testing.T) {
	for _, wait := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "s")
		h := &stubborn{begun: make(chan struct{}), ended: make(chan struct{}), may: make(chan struct{})}
		s := rpc.NewServer(rpc.ServerConfig{WaitForHandlers: wait})
		pb.RegisterTestServiceServer(s, h)
		start(t, s, "shm://"+path)
		var calls sync.WaitGroup
		for _, cc := range bothDoors(t, path, newWatcher()) {
			c := pb.NewTestServiceClient(cc)
			calls.Go(func() { _, _ = c.EmptyCall(t.Context(), &pb.Empty{}) })
			if _, err := c.FullDuplexCall(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-h.begun
			<-h.begun
		}
		stopped := make(chan struct{})
		go func() { s.Stop(); close(stopped) }()
		for range 4 {
			<-h.ended
		}
		if !wait {
			<-stopped
		}
		for range 4 {
			select {
			case <-stopped:
				if wait {
					t.Error("Stop has returned before the handlers")
				}
			default:
			}
			h.may <- struct{}{}
		}
		<-stopped
		calls.Wait()
	}
}

// TestPingsOverHTTP2: a client may ask as often as the server says.
func TestPingsOverHTTP2(t *testing.T) {
	for name, row := range map[string]struct {
		policy keepalive.EnforcementPolicy
		want   error
	}{
		"grpc-go's default": {want: errGoAway},
		"often":             {policy: keepalive.EnforcementPolicy{MinTime: 1, PermitWithoutStream: true}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			serve(t, "unix://"+path, rpc.ServerConfig{KeepaliveEnforcement: row.policy})
			conn, err := parley.Dial(t.Context(), "unix://"+path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
				t.Fatal(err)
			}
			f := http2.NewFramer(conn, conn)
			if err := f.WriteSettings(); err != nil {
				t.Fatal(err)
			}
			for i := byte(0); i < 10 && err == nil; i++ {
				err = ping(f, i)
			}
			if !errors.Is(err, row.want) {
				t.Errorf("%v, want %v", err, row.want)
			}
		})
	}
}

var errGoAway = errors.New("told to go away")

// ping asks, and waits for the answer.
func ping(f *http2.Framer, i byte) error {
	if err := f.WritePing(false, [8]byte{i}); err != nil {
		return err
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err
		}
		switch frame := frame.(type) {
		case *http2.GoAwayFrame:
			return errGoAway
		case *http2.PingFrame:
			if frame.IsAck() && frame.Data[0] == i {
				return nil
			}
		}
	}
}

// oldest is a codec of the oldest kind, which has no Name.
type oldest struct{ used int }

func (o *oldest) Marshal(v any) ([]byte, error) {
	o.used++
	return proto.Marshal(v.(proto.Message))
}

func (o *oldest) Unmarshal(b []byte, v any) error {
	o.used++
	return proto.Unmarshal(b, v.(proto.Message))
}

func (o *oldest) String() string { return "oldest" }

// TestCallCustomCodec: it is asked for both messages of a call, which says
// that it is plain gRPC all the same.
func TestCallCustomCodec(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	serve(t, "shm://"+path, rpc.ServerConfig{})
	for name, cc := range bothDoors(t, path, newWatcher()) {
		var codec oldest
		option := grpc.CallCustomCodec(&codec) //nolint:staticcheck // deprecated, and in old programs
		r, err := pb.NewTestServiceClient(cc).UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(10)}, option)
		if codec.used != 2 || err != nil || len(r.GetPayload().GetBody()) != 10 {
			t.Errorf("%s: used %d times; %v, %v", name, codec.used, r, err)
		}
	}
}
