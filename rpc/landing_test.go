// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/rpc"
	"github.com/parley-ipc/parley/transport/shm"
)

// sumServer answers a message with its check sum.
func sumServer(t *testing.T, address string, opts shm.Options) {
	t.Helper()
	s := rpc.NewServer(rpc.ServerConfig{SHM: opts})
	handle(t, s, "/t.T/Sum", func(_ context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		return &pb.SimpleResponse{Username: sum(in.GetPayload().GetBody())}, nil
	})
	start(t, s, address)
}

func sum(b []byte) string { return fmt.Sprintf("%d:%08x", len(b), crc32.ChecksumIEEE(b)) }

// inParts is m as the request of stream 3, in parts as others may cut them.
func inParts(m []byte, r *rand.Rand) []byte {
	o := rpcwire.Opening{Flags: rpcwire.FlagNamed, Name: []byte("/t.T/Sum")}
	b := rawFrame(rpcwire.Open, o.Flags, 3, o.Append(nil))
	if len(m) < 2 || len(m) <= rpcwire.MaxPart && r.IntN(2) == 0 {
		return append(b, rawFrame(rpcwire.Message, rpcwire.FlagMessage|rpcwire.FlagEnd, 3, m)...)
	}
	pre := binary.LittleEndian.AppendUint32(nil, uint32(len(m)))
	for {
		n := min(1+r.IntN(rpcwire.MaxPart-4), len(m)-len(pre)/4) // the first is not the last
		flags := uint8(rpcwire.FlagMessage | rpcwire.FlagPart)
		if n == len(m) {
			flags = rpcwire.FlagMessage | rpcwire.FlagEnd
		}
		b = append(b, rawFrame(rpcwire.Message, flags, 3, append(pre, m[:n]...))...)
		if m, pre = m[n:], nil; len(m) == 0 {
			return b
		}
	}
}

// answerOf reads frames until stream 3 is closed.
func answerOf(c io.Reader) (*pb.SimpleResponse, error) {
	for head := make([]byte, rpcwire.HeadSize); ; {
		if _, err := io.ReadFull(c, head); err != nil {
			return nil, err
		}
		h, err := rpcwire.ParseHead(head)
		if err != nil {
			return nil, err
		}
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(c, p); err != nil {
			return nil, err
		}
		if h.Kind != rpcwire.Close {
			continue
		}
		r, err := rpcwire.ParseClosing(h.Flags, p)
		if err != nil || h.Flags&rpcwire.FlagStatus != 0 {
			return nil, fmt.Errorf("status %d %s, %w", r.Code, r.Text, err)
		}
		out := new(pb.SimpleResponse)
		return out, proto.Unmarshal(r.Rest, out)
	}
}

// TestPartsLand: however a message is cut into parts, and however these come
// in, it is put together as it was.
func TestPartsLand(t *testing.T) {
	dir := t.TempDir()
	for name, opts := range map[string]shm.Options{
		"unix": {}, "shm": {}, "shm, trusted": {Trusted: true}, "shm, trusted, small rings": {Trusted: true, RingSize: shm.MinRingSize},
	} {
		t.Run(name, func(t *testing.T) {
			scheme, _, _ := strings.Cut(name, ",")
			address := scheme + "://" + filepath.Join(dir, strings.ReplaceAll(name, " ", ""))
			sumServer(t, address, opts)
			c := intruderBy(t, parley.Dialer{SHM: opts}, address, rpcwire.Hello{Window: 1 << 20, Total: 1 << 20})
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			r := rand.New(rand.NewPCG(1, 2))
			for range 60 {
				body := make([]byte, r.IntN(1<<(10+r.IntN(12))))
				for i := range body {
					body[i] = byte(i>>8) ^ byte(r.Uint32())
				}
				m, err := proto.Marshal(&pb.SimpleRequest{Payload: &pb.Payload{Body: body}})
				if err != nil {
					t.Fatal(err)
				}
				sent := make(chan error, 1)
				go func() { sent <- dribble(c, inParts(m, r), r) }()
				out, err := answerOf(c)
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				if err != nil || out.GetUsername() != sum(body) {
					t.Fatalf("%d bytes: %q, want %q: %v", len(body), out.GetUsername(), sum(body), err)
				}
			}
		})
	}
}

// dribble writes b in pieces, some of which end within a frame's head.
func dribble(c net.Conn, b []byte, r *rand.Rand) error {
	for len(b) > 0 {
		n := min(1+r.IntN(1<<r.IntN(18)), len(b))
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
