// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport"
)

// openWithFiles begins a call with n files, and leaves its message open.
func openWithFiles(stream uint32, n int) []byte {
	o := rpcwire.Opening{Flags: rpcwire.FlagNamed | rpcwire.FlagFiles, Name: []byte("/grpc.testing.TestService/UnaryCall"), Files: n}
	return rawFrame(rpcwire.Open, o.Flags, stream, o.Append(nil))
}

// TestFilesNobodyTakes: those of calls that never begin, and those of no call,
// are closed when their sender has gone, whatever the collector does.
func TestFilesNobodyTakes(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which closes files, too, some day
	path := filepath.Join(t.TempDir(), "s")
	serve(t, "shm://"+path, rpc.ServerConfig{})
	for name, frame := range map[string][]byte{
		"a call half begun": openWithFiles(3, 1),
		"no call":           rawFrame(rpcwire.Ping, 0, 0, make([]byte, 8)),
	} {
		for _, scheme := range []string{"unix://", "shm://"} {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			c := intruder(t, scheme+path)
			if _, err := c.(transport.FilePasser).WriteFiles(frame, []*os.File{w}); err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write(rawFrame(rpcwire.Ping, 0, 0, make([]byte, 8)))
			if _, err := io.ReadFull(c, make([]byte, rpcwire.HeadSize+8)); err != nil { // it has them
				t.Fatal(name, err)
			}
			_ = w.Close()
			_ = c.Close()
			if _, err := io.Copy(io.Discard, r); err != nil { // until the last writer has closed it
				t.Error(name, err)
			}
			_ = r.Close()
		}
	}
}

// TestTooManyFiles: a client holds so many of the server's descriptors and no
// more.
func TestTooManyFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, good := serve(t, "shm://"+path, rpc.ServerConfig{})
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	many := make([]*os.File, transport.MaxFiles)
	for i := range many {
		many[i] = null
	}
	c := intruder(t, "unix://"+path)
	sent := 0
	for stream := uint32(3); sent < 2000; stream += 2 {
		if _, err := c.(transport.FilePasser).WriteFiles(openWithFiles(stream, len(many)), many); err != nil {
			break
		}
		sent += len(many)
	}
	if sent < 1000 {
		t.Errorf("%d files are too many", sent)
	}
	_, _ = io.Copy(io.Discard, c) // until it ends
	if _, err := pb.NewTestServiceClient(good).UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
		t.Error("the neighbour:", err)
	}
}
