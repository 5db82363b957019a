// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/rpc"
)

// nobody may do anything.
var nobody = auth.AuthorizerFunc(func(context.Context, auth.Identity, auth.Action, string) error { return fault.Denied })

// TestStockClientDeniedAtTheDoor: every call of a client over HTTP/2 that may
// not even connect is told so, whatever it is and however many there are.
func TestStockClientDeniedAtTheDoor(t *testing.T) {
	for _, w := range ways() {
		if !w.stock {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			s := rpc.NewServer(rpc.ServerConfig{Authorizer: nobody, Listen: w.listen(t)})
			address := strings.Replace(start(t, s, w.address(t)), "shm:", "unix:", 1) // whose handshake such a client does not know
			tls := w.dialer(t).TLS
			cc, err := destination{Address: address, Stock: true, Cert: tls.CertFile, Key: tls.KeyFile, CA: tls.CAFile}.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cc.Close() }()
			c := pb.NewTestServiceClient(cc)
			for range 3 {
				if _, err := c.EmptyCall(t.Context(), &pb.Empty{}); status.Code(err) != codes.PermissionDenied {
					t.Error("unary:", err)
				}
			}
			if _, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(1 << 20)}, grpc.WaitForReady(true)); status.Code(err) != codes.PermissionDenied {
				t.Error("more than the window:", err)
			}
			both, err := c.FullDuplexCall(t.Context())
			if err == nil {
				_, err = both.Recv()
			}
			if status.Code(err) != codes.PermissionDenied {
				t.Error("stream:", err)
			}
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					if _, err := c.EmptyCall(t.Context(), &pb.Empty{}); status.Code(err) != codes.PermissionDenied {
						t.Error("one of many:", err)
					}
				})
			}
			all.Wait()
		})
	}
}

// TestDeniedHTTP2IsBounded: a denied client that says no more than the preface,
// or never ends, or breaks the protocol, is rid of soon; who may come is served
// meanwhile.
func TestDeniedHTTP2IsBounded(t *testing.T) {
	var connected atomic.Bool
	ours := auth.AuthorizerFunc(func(_ context.Context, _ auth.Identity, action auth.Action, _ string) error {
		if action == auth.Connect && connected.Swap(true) {
			return fault.Denied
		}
		return nil
	})
	address := inDir("unix")(t)
	_, c := serve(t, address, rpc.ServerConfig{Authorizer: ours}) // the first to connect is the last that may
	headers := make([]byte, 16<<10)
	for name, send := range map[string]func(*http2.Framer) error{
		"silent": func(*http2.Framer) error { return io.EOF },
		"calls without end": func(f *http2.Framer) error {
			for id := uint32(1); ; id += 2 {
				if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: headers, EndHeaders: true}); err != nil {
					return err
				}
			}
		},
		"one header without end": func(f *http2.Framer) error {
			err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers})
			for err == nil {
				err = f.WriteContinuation(1, false, headers)
			}
			return err
		},
		"nonsense": func(f *http2.Framer) error {
			return f.WriteRawFrame(http2.FrameSettings, 0, 1, headers)
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := parley.Dial(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
				t.Fatal(err)
			}
			out := &counter{w: conn}
			f := http2.NewFramer(out, conn)
			sent := make(chan struct{})
			go func() { _ = send(f); close(sent) }()
			if _, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
				t.Error("who may come:", err)
			}
			_, _ = io.Copy(io.Discard, conn) // until it is hung up
			if <-sent; out.n > 2<<20 {       // 256 KiB are read, and the kernel holds some
				t.Errorf("it could send %d bytes", out.n)
			}
		})
	}
}

// counter counts what is written to w.
type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}
