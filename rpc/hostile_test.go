// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"encoding/binary"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport"
)

// intruder is a connection past its hello, for frames that no Client sends.
func intruder(t *testing.T, address string) transport.Conn {
	t.Helper()
	return intruderWith(t, address, rpcwire.Hello{Window: 1 << 20, Total: 1 << 20})
}

func intruderWith(t *testing.T, address string, hello rpcwire.Hello) transport.Conn {
	t.Helper()
	return intruderBy(t, parley.Dialer{}, address, hello)
}

func intruderBy(t *testing.T, d parley.Dialer, address string, hello rpcwire.Hello) transport.Conn {
	t.Helper()
	c, err := d.Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write(hello.Append(nil)); err != nil {
		t.Fatal(err)
	}
	prefix := make([]byte, rpcwire.HelloPrefix)
	if _, err := io.ReadFull(c, prefix); err != nil {
		t.Fatal(err)
	}
	_, _, n, err := rpcwire.ParseHelloPrefix(prefix)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	return c
}

func rawFrame(kind rpcwire.Kind, flags uint8, stream uint32, p []byte) []byte {
	return append(rpcwire.AppendHead(nil, rpcwire.Head{Length: uint32(len(p)), Kind: kind, Flags: flags, Stream: stream}), p...)
}

func rawOpen(stream uint32, method string, md rpcwire.Pairs) []byte {
	o := rpcwire.Opening{Flags: rpcwire.FlagNamed | rpcwire.FlagExtra, Name: []byte(method), Metadata: md}
	return rawFrame(rpcwire.Open, o.Flags, stream, o.Append(nil))
}

const duplex = "/grpc.testing.TestService/FullDuplexCall"

// TestHostileFrames wants each to cost its sender the connection, and nobody
// else anything.
func TestHostileFrames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, good := serve(t, "shm://"+path, rpc.ServerConfig{})
	for name, bytes := range hostileFrames() {
		t.Run(name, func(t *testing.T) {
			for _, scheme := range []string{"unix://", "shm://"} {
				costsTheConnection(t, intruder(t, scheme+path), bytes)
			}
		})
	}
	if _, err := pb.NewTestServiceClient(good).UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(1000)}); err != nil {
		t.Error("the neighbour:", err)
	}
}

func costsTheConnection(t *testing.T, c transport.Conn, bytes []byte) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { _, _ = c.Write(bytes) }() // the server may not read all of it
	for {
		if _, err := c.Read(make([]byte, 4096)); err != nil {
			if ne, ok := err.(interface{ Timeout() bool }); ok && ne.Timeout() {
				t.Error("the connection stands")
			}
			break
		}
	}
}

func hostileFrames() map[string][]byte {
	tooBig := make([]byte, 12)
	binary.LittleEndian.PutUint32(tooBig, 1<<31)
	tooBig[4] = byte(rpcwire.Ping)
	return map[string][]byte{
		"a payload too large":      tooBig,
		"an unknown kind":          rawFrame(99, 0, 0, nil),
		"a call on number 1":       rawOpen(1, duplex, nil),
		"one on the server's side": rawOpen(4, duplex, nil),
		"a place past the limit":   rawOpen(3+2*5000, duplex, nil),
		"a place that is taken":    append(rawOpen(3, duplex, nil), rawOpen(3, duplex, nil)...),
		"an unknown method number": rawFrame(rpcwire.Open, 0, 3, []byte{9}),
		"metadata cut short":       rawOpen(3, duplex, rpcwire.Pairs{200, 1}),
		"a header bomb":            rawOpen(3, duplex, rpcwire.AppendPair(nil, "k", string(make([]byte, 60<<10)))),
		"files that did not come":  rawFrame(rpcwire.Open, rpcwire.FlagNamed|rpcwire.FlagFiles, 3, append(append([]byte{0, byte(len(duplex))}, duplex...), 5)),
		"a window of nothing":      rawFrame(rpcwire.Window, 0, 0, []byte{0, 0, 0, 0}),
		"a window past all bounds": append(rawFrame(rpcwire.Window, 0, 0, []byte{0, 0, 0, 0x7f}), rawFrame(rpcwire.Window, 0, 0, []byte{0, 0, 0, 0x7f})...),
		"a method's name too long": rawOpen(3, "/"+strings.Repeat("x", 5000)+"/y", nil),
		"a codec's name too long":  rawFrame(rpcwire.Open, rpcwire.FlagNamed|rpcwire.FlagExtra, 3, (&rpcwire.Opening{Flags: rpcwire.FlagNamed | rpcwire.FlagExtra, Name: []byte(duplex), Subtype: make([]byte, 60<<10)}).Append(nil)),
		"an answer to no call":     rawFrame(rpcwire.Close, 0, 2, nil),
		"more than the window":     flood(),
		"a first part too long":    parts(10, 60<<10),
		"parts of more than all":   parts(200<<10, 100<<10, 128<<10),
		"an end before the end":    append(parts(200<<10, 100<<10), rawFrame(rpcwire.Message, rpcwire.FlagMessage, 3, make([]byte, 60<<10))...),
		"a part that goes on":      append(parts(200<<10, 100<<10), rawFrame(rpcwire.Message, rpcwire.FlagMessage|rpcwire.FlagPart, 3, make([]byte, 100<<10))...),
	}
}

// flood is messages to a unary call that never ends them.
func flood() []byte {
	b := rawOpen(3, "/grpc.testing.TestService/EmptyCall", nil)
	for range 200 {
		b = append(b, rawFrame(rpcwire.Message, rpcwire.FlagMessage, 3, make([]byte, 60<<10))...)
	}
	return b
}

// parts is the beginning of a message of size bytes to a unary call.
func parts(size int, lengths ...int) []byte {
	b := rawOpen(3, "/grpc.testing.TestService/UnaryCall", nil)
	pre := binary.LittleEndian.AppendUint32(nil, uint32(size))
	for _, n := range lengths {
		b = append(b, rawFrame(rpcwire.Message, rpcwire.FlagMessage|rpcwire.FlagPart, 3, append(pre, make([]byte, n)...))...)
		pre = nil
	}
	return b
}

// TestRapidResets opens and cancels again and again: the places stay bounded,
// and the neighbour is served.
func TestRapidResets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, good := serve(t, "unix://"+path, rpc.ServerConfig{Limits: rpc.Limits{MaxStreams: 10}})
	c := intruder(t, "unix://"+path)
	go func() { _, _ = io.Copy(io.Discard, c) }()
	for range 3000 {
		both := append(rawOpen(3, "/grpc.testing.TestService/EmptyCall", nil), rawFrame(rpcwire.Reset, 0, 3, nil)...)
		if _, err := c.Write(both); err != nil {
			break // it opened before the last one was over: that is an offence
		}
	}
	if _, err := pb.NewTestServiceClient(good).UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
		t.Error("the neighbour:", err)
	}
}

// TestNeverReading makes calls and reads no answer: the server's memory for it
// is bounded, and the neighbour is served.
func TestNeverReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, good := serve(t, "shm://"+path, rpc.ServerConfig{})
	for _, scheme := range []string{"unix://", "shm://"} {
		c := intruder(t, scheme+path)
		_ = c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		for range 100_000 {
			if _, err := c.Write(rawFrame(rpcwire.Ping, 0, 0, make([]byte, 8))); err != nil {
				break
			}
		}
	}
	for range 100 {
		if _, err := pb.NewTestServiceClient(good).UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(1000)}); err != nil {
			t.Fatal("the neighbour:", err)
		}
	}
}

// outpouring sends without end, and notes how much.
type outpouring struct {
	pb.UnimplementedTestServiceServer
	sent  chan int
	began chan struct{}
}

const outpoured = 128 << 20 // is all of it

func (o outpouring) StreamingOutputCall(_ *pb.StreamingOutputCallRequest, s pb.TestService_StreamingOutputCallServer) error {
	close(o.began)
	message, sent := &pb.StreamingOutputCallResponse{Payload: payload(64 << 10)}, 0
	defer func() { o.sent <- sent }()
	for sent < outpoured {
		if err := s.Send(message); err != nil {
			return err
		}
		sent += 64 << 10
	}
	return nil
}

func (outpouring) EmptyCall(context.Context, *pb.Empty) (*pb.Empty, error) { return &pb.Empty{}, nil }

// TestNeverReadingAStream: a client that says it takes everything, and reads
// nothing, holds up its own stream and costs no more memory than is written
// ahead.
func TestNeverReadingAStream(t *testing.T) {
	for _, scheme := range []string{"unix://", "shm://"} {
		t.Run(scheme, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			o := outpouring{sent: make(chan int, 1), began: make(chan struct{})}
			s := rpc.NewServer(rpc.ServerConfig{})
			pb.RegisterTestServiceServer(s, o)
			good := dial(t, start(t, s, "shm://"+path))
			c := intruderWith(t, scheme+path, rpcwire.Hello{Window: 1 << 30, Total: 1 << 30})
			call := append(rawOpen(3, "/grpc.testing.TestService/StreamingOutputCall", nil), rawFrame(rpcwire.Message, rpcwire.FlagMessage|rpcwire.FlagEnd, 3, nil)...)
			if _, err := c.Write(call); err != nil {
				t.Fatal(err)
			}
			<-o.began
			for range 3000 { // a while, in which all of it could have been queued
				if _, err := pb.NewTestServiceClient(good).EmptyCall(t.Context(), &pb.Empty{}); err != nil {
					t.Fatal("the neighbour:", err)
				}
			}
			_ = c.Close()
			if n := <-o.sent; n >= 16<<20 {
				t.Errorf("%d bytes for a client that reads nothing", n)
			}
		})
	}
}
