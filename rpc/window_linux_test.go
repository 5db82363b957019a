// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"encoding/binary"
	"io"
	"path/filepath"
	"testing"
	"time"

	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport"
)

// nextFrame reads one frame.
func nextFrame(t *testing.T, c transport.Conn) (rpcwire.Head, []byte) {
	t.Helper()
	b := make([]byte, rpcwire.HeadSize)
	_, err := io.ReadFull(c, b)
	if err != nil {
		t.Fatal(err)
	}
	h, err := rpcwire.ParseHead(b)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, h.Length)
	if _, err := io.ReadFull(c, p); err != nil {
		t.Fatal(err)
	}
	return h, p
}

// TestWindowsAreKept: we send no more than the peer takes, on a stream as on
// all of them together, and go on when it takes more.
func TestWindowsAreKept(t *testing.T) {
	const window, most = 256 << 10, 1 << 30
	for name, hello := range map[string]rpcwire.Hello{
		"stream":     {Window: window, Total: most},
		"connection": {Window: most, Total: window},
	} {
		for _, scheme := range []string{"unix://", "shm://"} {
			t.Run(name+" over "+scheme, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "s")
				o := outpouring{sent: make(chan int, 1), began: make(chan struct{})}
				s := rpc.NewServer(rpc.ServerConfig{})
				pb.RegisterTestServiceServer(s, o)
				start(t, s, "shm://"+path)
				c := intruderWith(t, scheme+path, hello)
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				call := append(rawOpen(3, "/grpc.testing.TestService/StreamingOutputCall", nil), rawFrame(rpcwire.Message, rpcwire.FlagMessage|rpcwire.FlagEnd, 3, nil)...)
				send := func(b []byte) {
					if _, err := c.Write(b); err != nil {
						t.Fatal(err)
					}
				}
				send(call)
				if h, _ := nextFrame(t, c); h.Kind != rpcwire.Header {
					t.Fatalf("kind %d, want the header", h.Kind)
				}
				messages := func() (cost int) {
					for range 3 { // that fit the window; a fourth does not
						h, p := nextFrame(t, c)
						if h.Kind != rpcwire.Message {
							t.Fatalf("kind %d, want a message", h.Kind)
						}
						cost += len(p) + rpcwire.Overhead
					}
					send(rawFrame(rpcwire.Ping, 0, 0, make([]byte, 8)))
					if h, _ := nextFrame(t, c); h.Kind != rpcwire.Ping {
						t.Fatalf("kind %d beyond the window", h.Kind)
					}
					return cost
				}
				stream := uint32(0)
				if name == "stream" {
					stream = 3
				}
				cost := messages()
				if cost > window || cost+cost/3 <= window {
					t.Fatalf("3 messages cost %d of a window of %d", cost, window)
				}
				send(rawFrame(rpcwire.Window, 0, stream, binary.LittleEndian.AppendUint32(nil, uint32(cost))))
				messages()
				_ = c.Close()
				<-o.sent
			})
		}
	}
}
