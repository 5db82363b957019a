// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport"
)

// TestBackoffAndJitter: attempts to connect slow down as they are told to, and
// not all clients' alike.
func TestBackoffAndJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := make(chan time.Time, 100)
		c, err := rpc.NewClient(rpc.ClientConfig{
			Backoff: backoff.Config{BaseDelay: time.Second, Multiplier: 2, Jitter: 0.2, MaxDelay: 5 * time.Second},
			DialConn: func(context.Context) (transport.Conn, error) {
				attempts <- time.Now()
				return nil, errors.New("nobody there")
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if s := c.GetState(); s != connectivity.Idle {
			t.Errorf("before the first call: %v", s)
		}
		if _, err := pb.NewTestServiceClient(c).EmptyCall(t.Context(), &pb.Empty{}); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
		last, exact := <-attempts, 0
		for i, want := range []time.Duration{1, 2, 4, 5, 5, 5} {
			if s := c.GetState(); s != connectivity.TransientFailure {
				t.Errorf("between attempts: %v", s)
			}
			want *= time.Second
			next := <-attempts
			synctest.Wait() // for it to have failed
			got := next.Sub(last)
			if got < want*8/10 || got > want*12/10 {
				t.Errorf("pause %d: %v, want %v and a fifth of it more or less", i, got, want)
			}
			if got == want {
				exact++
			}
			last = next
		}
		if exact > 1 {
			t.Errorf("%d pauses have no jitter", exact)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if s := c.GetState(); s != connectivity.Shutdown {
			t.Errorf("closed: %v", s)
		}
	})
}

// piped is one end of a pipe that says which network it is.
type piped struct {
	net.Conn
	network string
}

func (p piped) Peer() auth.Identity  { return auth.Self() }
func (p piped) CloseWrite() error    { return p.Close() }
func (p piped) RemoteAddr() net.Addr { return netName(p.network) }

type netName string

func (n netName) Network() string { return string(n) }
func (n netName) String() string  { return "somewhere" }

// TestKeepaliveByItself: over tcp and tls either side notices within a minute
// that the other is gone without a word, by default; elsewhere the kernel tells,
// and nobody asks.
func TestKeepaliveByItself(t *testing.T) {
	for network, asks := range map[string]bool{"tcp": true, "tls": true, "unix": false} {
		t.Run(network, func(t *testing.T) {
			for range 2 { // empties pools: who waits on a channel of another test's is not asleep to synctest
				runtime.GC()
			}
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan time.Time, 1)
				s := rpc.NewServer(rpc.ServerConfig{Authorizer: everyone})
				pb.RegisterTestServiceServer(s, &ends{ended: ended})
				a, b := net.Pipe()
				c, d := net.Pipe()
				cut := make(chan struct{})
				go pump(b, c, cut)
				go pump(c, b, cut)
				served := make(chan error, 1)
				go func() { served <- s.ServeConn(t.Context(), piped{d, network}) }()
				cl, err := rpc.NewClient(rpc.ClientConfig{DialConn: func(context.Context) (transport.Conn, error) { return piped{a, network}, nil }})
				if err != nil {
					t.Fatal(err)
				}
				called := make(chan error, 1)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				began := time.Now()
				go func() {
					_, err := pb.NewTestServiceClient(cl).EmptyCall(ctx, &pb.Empty{})
					called <- err
				}()
				if err := <-served; err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				close(cut)
				want := codes.DeadlineExceeded
				if asks {
					want = codes.Unavailable
				}
				if err := <-called; status.Code(err) != want {
					t.Error(err)
				}
				if took := time.Since(began); (took <= time.Minute) != asks {
					t.Errorf("the client noticed after %v", took)
				}
				if took := (<-ended).Sub(began); (took <= time.Minute) != asks {
					t.Errorf("the server noticed after %v", took)
				}
				_ = cl.Close()
				s.Stop()
				for _, c := range []net.Conn{a, b, c, d} {
					_ = c.Close()
				}
			})
		})
	}
}

// pump carries bytes until cut, when it holds them back for good.
func pump(to, from net.Conn, cut <-chan struct{}) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		select {
		case <-cut: // it is as if nobody were there
		default:
			_, _ = to.Write(b[:n])
		}
	}
}

// ends tells when a call's context ends.
type ends struct {
	pb.UnimplementedTestServiceServer
	ended chan time.Time
}

func (e *ends) EmptyCall(ctx context.Context, _ *pb.Empty) (*pb.Empty, error) {
	<-ctx.Done()
	e.ended <- time.Now()
	return nil, ctx.Err()
}
