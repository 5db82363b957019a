// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// Storm is random calls from many callers at once, of all four kinds and of
// random sizes, some of them cancelled at a random time.
type Storm struct {
	Calls   int
	Callers int // default 64
	Seed    uint64
	Deaths  bool // the server may die: Unavailable is an answer
}

// Tally is how the calls of a storm ended.
type Tally struct{ Answered, Cancelled, Died int64 }

func (t Tally) String() string {
	return fmt.Sprintf("%d answered, %d cancelled, %d died", t.Answered, t.Cancelled, t.Died)
}

// RegisterStorm registers the server of a storm.
func RegisterStorm(r grpc.ServiceRegistrar) { pb.RegisterTestServiceServer(r, stormServer{}) }

// Rage makes the calls, and returns what went wrong: an answer that is not the
// caller's own, or an error that nothing explains.
func (s Storm) Rage(ctx context.Context, cc grpc.ClientConnInterface) (Tally, error) {
	if s.Callers <= 0 {
		s.Callers = 64
	}
	var left, answered, cancelled, died atomic.Int64
	left.Store(int64(s.Calls))
	wrong := make([]error, s.Callers)
	var wg sync.WaitGroup
	for i := range wrong {
		wg.Go(func() {
			c := &caller{storm: s, client: pb.NewTestServiceClient(cc), random: rand.New(rand.NewPCG(s.Seed, uint64(i))), number: uint32(i)} //nolint:gosec // repeatable
			for wrong[i] == nil && left.Add(-1) >= 0 && ctx.Err() == nil {
				end, err := c.call(ctx)
				switch end {
				case codes.OK:
					answered.Add(1)
				case codes.Canceled:
					cancelled.Add(1)
				default:
					died.Add(1)
				}
				wrong[i] = err
			}
		})
	}
	wg.Wait()
	return Tally{answered.Load(), cancelled.Load(), died.Load()}, errors.Join(wrong...)
}

// caller makes one call after the other.
type caller struct {
	storm  Storm
	client pb.TestServiceClient
	random *rand.Rand
	number uint32
	calls  uint32
}

// call makes one call, and says how it ended: OK, Canceled or Unavailable.
func (c *caller) call(ctx context.Context) (codes.Code, error) {
	c.calls++
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	maybe := c.random.IntN(4) == 0
	if maybe {
		after := time.Duration(c.random.IntN(3000)) * time.Microsecond
		if c.random.IntN(2) == 0 {
			defer time.AfterFunc(after, cancel).Stop()
		} else {
			var done context.CancelFunc
			ctx, done = context.WithTimeout(ctx, after)
			defer done()
		}
	}
	kinds := []func(context.Context) error{c.unary, c.unary, c.unary, c.output, c.input, c.duplex}
	kind := c.random.IntN(len(kinds))
	err := kinds[kind](ctx)
	switch code := status.Code(err); {
	case err == nil:
		return codes.OK, nil
	case maybe && (code == codes.Canceled || code == codes.DeadlineExceeded):
		return codes.Canceled, nil
	case c.storm.Deaths && code == codes.Unavailable:
		return codes.Unavailable, nil
	}
	return status.Code(err), fmt.Errorf("caller %d, call %d, kind %d: %w", c.number, c.calls, kind, err)
}

// sizes are more often small than large; the largest are beyond any ring.
var sizes = []int{0, 1, 64, 64, 64, 300, 4096, 20000, 70000, 300000, 1 << 20, 3 << 20}

// body is one that nobody else sends: who, which call, and random bytes.
func (c *caller) body(largest int) []byte {
	n := min(sizes[c.random.IntN(len(sizes))], largest)
	b := make([]byte, 12+n)
	binary.LittleEndian.PutUint32(b, c.number)
	binary.LittleEndian.PutUint32(b[4:], c.calls)
	word := c.random.Uint32()
	for i := 8; i+4 <= len(b); i += 4 {
		binary.LittleEndian.PutUint32(b[i:], word)
		word = word*1664525 + 1013904223
	}
	return b
}

func notOurs(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("the answer is not ours: %d bytes %x instead of %d bytes %x", len(got), got[:min(12, len(got))], len(want), want[:12])
}

func (c *caller) unary(ctx context.Context) error {
	body := c.body(3 << 20)
	r, err := c.client.UnaryCall(ctx, &pb.SimpleRequest{Payload: &pb.Payload{Body: body}})
	if err != nil {
		return err
	}
	return notOurs(r.GetPayload().GetBody(), body)
}

func (c *caller) output(ctx context.Context) error {
	body := c.body(300000)
	times := c.random.IntN(20)
	stream, err := c.client.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{
		Payload: &pb.Payload{Body: body}, ResponseParameters: make([]*pb.ResponseParameters, times),
	})
	if err != nil {
		return err
	}
	for i := range times + 1 {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) && i == times {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the stream ended after %d of %d messages", i, times) //nolint:errorlint // io.EOF is no cause
		}
		if err != nil {
			return err
		}
		if err := notOurs(r.GetPayload().GetBody(), body); err != nil {
			return err
		}
	}
	return fmt.Errorf("the stream has more than %d messages", times)
}

func (c *caller) input(ctx context.Context) error {
	stream, err := c.client.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	total := 0
	for range c.random.IntN(20) {
		body := c.body(300000)
		total += len(body)
		if err := stream.Send(&pb.StreamingInputCallRequest{Payload: &pb.Payload{Body: body}}); err != nil {
			break // CloseAndRecv knows why
		}
	}
	r, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if int(r.GetAggregatedPayloadSize()) != total {
		return fmt.Errorf("%d bytes arrived of %d", r.GetAggregatedPayloadSize(), total)
	}
	return nil
}

func (c *caller) duplex(ctx context.Context) error {
	stream, err := c.client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for range c.random.IntN(10) {
		body := c.body(1 << 20)
		if err := stream.Send(&pb.StreamingOutputCallRequest{Payload: &pb.Payload{Body: body}}); err != nil {
			break // Recv knows why
		}
		r, err := stream.Recv()
		if err != nil {
			return unexpectedEnd(err)
		}
		if err := notOurs(r.GetPayload().GetBody(), body); err != nil {
			return err
		}
	}
	if c.random.IntN(8) == 0 {
		return nil // abandoned: our context ends with us
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("a message that nobody asked for")
		}
		return err
	}
	return nil
}

func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the stream ended before its last answer")
	}
	return err
}

// stormServer sends back what it is sent.
type stormServer struct {
	pb.UnimplementedTestServiceServer
}

func (stormServer) UnaryCall(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return &pb.SimpleResponse{Payload: r.GetPayload()}, nil
}

func (stormServer) StreamingOutputCall(r *pb.StreamingOutputCallRequest, stream outputStream) error {
	for range r.GetResponseParameters() {
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: r.GetPayload()}); err != nil {
			return err
		}
	}
	return nil
}

func (stormServer) StreamingInputCall(stream inputStream) error {
	total := 0
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(total)}) //nolint:gosec // a few MiB
		}
		if err != nil {
			return err
		}
		total += len(r.GetPayload().GetBody())
	}
}

func (stormServer) FullDuplexCall(stream duplexStream) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: r.GetPayload()}); err != nil {
			return err
		}
	}
}
