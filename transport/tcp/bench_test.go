// SPDX-License-Identifier: Apache-2.0

package tcp_test

import (
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/parley-ipc/parley/transport"
)

// pipes are the two ends to compare: raw net, and ours, whose accepted end
// counts.
var pipes = []struct {
	name string
	open func(b *testing.B) (d, a net.Conn)
}{
	{"net", func(b *testing.B) (net.Conn, net.Conn) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = ln.Close() }()
		d, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		a, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		return d, a
	}},
	{"parley", func(b *testing.B) (net.Conn, net.Conn) {
		l, err := listen(b.Context(), "tcp://127.0.0.1:0", transport.ListenConfig{})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		d, err := dial(b.Context(), l.Address().String(), transport.DialConfig{})
		if err != nil {
			b.Fatal(err)
		}
		a, err := l.AcceptConn(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		return d, a
	}},
}

// BenchmarkRoundTrip and BenchmarkThroughput show what Parley costs over net:
//
//	go test -run - -bench . -count 10 ./transport/tcp
func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []int{64, 4 << 10, 64 << 10} {
		for _, p := range pipes {
			b.Run(fmt.Sprintf("%d/%s", size, p.name), func(b *testing.B) {
				d, a := p.open(b)
				defer func() { _, _ = d.Close(), a.Close() }()
				go func() {
					buf := make([]byte, size)
					for {
						if _, err := io.ReadFull(a, buf); err != nil {
							return
						}
						if _, err := a.Write(buf); err != nil {
							return
						}
					}
				}()
				buf := make([]byte, size)
				b.ResetTimer()
				for range b.N {
					if _, err := d.Write(buf); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(d, buf); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkThroughput(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		for _, p := range pipes {
			b.Run(fmt.Sprintf("%d/%s", size, p.name), func(b *testing.B) {
				d, a := p.open(b)
				defer func() { _, _ = d.Close(), a.Close() }()
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					buf := make([]byte, size)
					for range b.N {
						if _, err := io.ReadFull(a, buf); err != nil {
							return
						}
					}
				}()
				buf := make([]byte, size)
				b.SetBytes(int64(size))
				b.ResetTimer()
				for range b.N {
					if _, err := d.Write(buf); err != nil {
						b.Fatal(err)
					}
				}
				<-ended
			})
		}
	}
}
