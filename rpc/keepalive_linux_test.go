// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/rpc"
)

// impatient asks at once and waits for no answer: for peers that give none.
var impatient = rpc.Limits{KeepaliveTime: 20 * time.Millisecond, KeepaliveTimeout: 50 * time.Millisecond}

// connected is a client whose connection is there, with no call on it.
func connected(t *testing.T, address string, l rpc.Limits) *rpc.Client {
	t.Helper()
	c, err := rpc.NewClient(rpc.ClientConfig{Address: address, Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestKeepaliveStoppedServer: a server that the kernel still keeps connected,
// but that runs no more. Calls without a deadline end all the same.
func TestKeepaliveStoppedServer(t *testing.T) {
	p := proctest.Start(t, "server", "tcp://127.0.0.1:0")
	c := connected(t, p.Hear(), impatient)
	p.Signal(syscall.SIGSTOP)
	defer p.Signal(syscall.SIGCONT)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := pb.NewTestServiceClient(c).EmptyCall(context.Background(), &pb.Empty{}); status.Code(err) != codes.Unavailable {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestKeepaliveAsksAgain: a peer that answers is asked again after the
// keep-alive time, however long its answer might have taken.
func TestKeepaliveAsksAgain(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	pings, played := 0, make(chan error, 1)
	go func() {
		played <- play(ln, func(peer net.Conn) error {
			if pings++; pings > 3 {
				return errHungUp
			}
			_, err := peer.Write(rawFrame(rpcwire.Ping, rpcwire.FlagAck, 0, make([]byte, 8)))
			return err
		})
	}()
	c := connected(t, "tcp://"+ln.Addr().String(), rpc.Limits{KeepaliveTime: 10 * time.Millisecond, KeepaliveTimeout: time.Hour})
	if _, err := pb.NewTestServiceClient(c).EmptyCall(context.Background(), &pb.Empty{}); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	if err := <-played; !errors.Is(err, errHungUp) || pings != 4 {
		t.Errorf("%d pings, %v", pings, err)
	}
}

var errHungUp = errors.New("the peer has heard enough")

// play is a peer that says hello, takes calls and answers nothing but pings,
// by onPing. It ends with the connection.
func play(ln net.Listener, onPing func(net.Conn) error) error {
	c, err := ln.Accept()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	prefix := make([]byte, rpcwire.HelloPrefix)
	if _, err := io.ReadFull(c, prefix); err != nil {
		return err
	}
	_, _, n, err := rpcwire.ParseHelloPrefix(prefix)
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, c, int64(n)); err != nil {
		return err
	}
	if _, err := c.Write(rpcwire.Hello{Window: 1 << 20, Total: 1 << 20, Streams: 10, Header: 1000}.Append(nil)); err != nil {
		return err
	}
	return answerPings(c, onPing)
}

// answerPings reads frames until the peer hangs up.
func answerPings(c net.Conn, onPing func(net.Conn) error) error {
	for {
		b := make([]byte, rpcwire.HeadSize)
		if _, err := io.ReadFull(c, b); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
				return nil
			}
			return err
		}
		h, err := rpcwire.ParseHead(b)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, c, int64(h.Length)); err != nil {
			return err
		}
		if h.Kind == rpcwire.Ping {
			if err := onPing(c); err != nil {
				return err
			}
		}
	}
}

// TestKeepaliveSilentClient: the server asks, too, and the handler of a client
// that does not answer learns it from its context.
func TestKeepaliveSilentClient(t *testing.T) {
	s := rpc.NewServer(rpc.ServerConfig{Limits: impatient, Authorizer: everyone})
	ended := make(chan struct{})
	pb.RegisterTestServiceServer(s, waiter{ended: ended})
	c := intruder(t, start(t, s, "tcp://127.0.0.1:0"))
	open := append(rawOpen(3, "/grpc.testing.TestService/EmptyCall", nil), rawFrame(rpcwire.Message, rpcwire.FlagMessage|rpcwire.FlagEnd, 3, nil)...)
	if _, err := c.Write(open); err != nil {
		t.Fatal(err)
	}
	pings := 0
	if err := answerPings(c, func(net.Conn) error { pings++; return nil }); err != nil || pings == 0 {
		t.Errorf("%d pings, %v", pings, err)
	}
	<-ended
}

// waiter tells when its caller has gone.
type waiter struct {
	pb.UnimplementedTestServiceServer
	ended chan struct{}
}

func (w waiter) EmptyCall(ctx context.Context, _ *pb.Empty) (*pb.Empty, error) {
	<-ctx.Done()
	close(w.ended)
	return nil, ctx.Err()
}
