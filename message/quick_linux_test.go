// SPDX-License-Identifier: Apache-2.0

package message

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	shmconn "github.com/parley-ipc/parley/transport/shm"
)

// ringPair returns two Conns that talk over rings of 64 KiB.
func ringPair(t testing.TB, cfg Config) (a, b *Conn) {
	t.Helper()
	x, y := sockets(t)
	id := auth.Identity{Method: auth.Kernel, UID: uint32(os.Getuid())} //nolint:gosec // a uid
	opts := shmconn.DialConfig{Options: shmconn.Options{RingSize: 64 << 10, Trusted: cfg.InPlace}}
	made := make(chan *shmconn.Conn, 1)
	go func() {
		c, err := shmconn.NewConn(t.Context(), y.(*net.UnixConn), id, true, opts)
		if err != nil {
			t.Error(err)
		}
		made <- c
	}()
	c, err := shmconn.NewConn(t.Context(), x.(*net.UnixConn), id, false, opts)
	d := <-made
	if err != nil || t.Failed() {
		t.Fatal(err)
	}
	return conn(t, c, cfg), conn(t, d, cfg)
}

// numbered is a message of n bytes, at least 8, that says who sent it.
func numbered(sender, seq, n int) []byte {
	p := bytes.Repeat([]byte{byte(sender*31 + seq)}, max(n, 8))
	binary.LittleEndian.PutUint32(p, uint32(sender))
	binary.LittleEndian.PutUint32(p[4:], uint32(seq))
	return p
}

// checker wants each sender's messages whole and in order.
type checker map[int]int

func (c checker) take(p []byte) error {
	if len(p) < 8 {
		return errors.New("short")
	}
	sender, seq := int(binary.LittleEndian.Uint32(p)), int(binary.LittleEndian.Uint32(p[4:]))
	if c[sender] != seq {
		return errors.New("out of order")
	}
	c[sender]++
	if !bytes.Equal(p, numbered(sender, seq, len(p))) {
		return errors.New("mixed up")
	}
	return nil
}

// sizes are around every limit: the frame's, which is half of the ring's, the ring's, the buffer's.
var sizes = []int{8, 64, 1000, 4096, maxQuick - headerSize - 1, maxQuick - headerSize, maxQuick - headerSize + 1, 64<<10 - 8, 64 << 10, 200 << 10}

// takers are the ways to receive.
var takers = map[string]func(ctx context.Context, c *Conn, f func([]byte) error) error{
	"receive": func(ctx context.Context, c *Conn, f func([]byte) error) error {
		m, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		defer m.Release()
		return f(m.Bytes())
	},
	"each": func(ctx context.Context, c *Conn, f func([]byte) error) error {
		_, err := c.Each(ctx, func(m *Message) error { return f(m.Bytes()) })
		return err
	},
}

// Many senders, one by one and in batches, small and large: nothing is mixed
// up, and the goodbye comes last.
func TestInPlaceAndAround(t *testing.T) {
	const senders, rounds = 4, 30
	for name, take := range takers {
		for _, cfg := range []Config{{}, {InPlace: true}} {
			t.Run(name, func(t *testing.T) {
				a, b := ringPair(t, cfg)
				var wg sync.WaitGroup
				for s := range senders {
					wg.Go(func() {
						seq := 0
						for range rounds {
							for i := range sizes {
								p, q := numbered(s, seq, sizes[(i+s)%len(sizes)]), numbered(s, seq+1, sizes[i])
								if err := a.Send(t.Context(), p); err != nil {
									t.Error(err)
								}
								if err := a.SendBatch(t.Context(), [][]byte{q, numbered(s, seq+2, 9), numbered(s, seq+3, 20<<10), numbered(s, seq+4, 20<<10)}); err != nil {
									t.Error(err)
								}
								seq += 5
							}
						}
					})
				}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					wg.Wait()
					if err := a.CloseWrite(t.Context()); err != nil {
						t.Error(err)
					}
					if err := a.Send(t.Context(), []byte("late")); !errors.Is(err, fault.Closed) {
						t.Errorf("after the goodbye: %v", err)
					}
				}()
				got := checker{}
				for {
					err := take(t.Context(), b, got.take)
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				<-ended
				for s := range senders {
					if got[s] != rounds*len(sizes)*5 {
						t.Errorf("%d messages of sender %d", got[s], s)
					}
				}
			})
		}
	}
}

// What is received in place lies in the ring, and files find their way past it.
func TestReceiveInPlace(t *testing.T) {
	a, b := ringPair(t, Config{InPlace: true})
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lent := 0
	for i := range 50 {
		if err := a.Send(t.Context(), numbered(0, 3*i, 100)); err != nil {
			t.Fatal(err)
		}
		if err := a.SendFiles(t.Context(), numbered(0, 3*i+1, 100), []*os.File{f}); err != nil {
			t.Fatal(err)
		}
		if err := a.Send(t.Context(), numbered(0, 3*i+2, 100)); err != nil {
			t.Fatal(err)
		}
		for k := range 3 {
			m, err := b.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.Bytes(), numbered(0, 3*i+k, 100)) {
				t.Fatalf("message %d is wrong", 3*i+k)
			}
			if m.loan != nil {
				lent++
			}
			files := m.Files()
			if len(files) != k%2 {
				t.Fatalf("message %d came with %d files", 3*i+k, len(files))
			}
			closeFiles(files)
			m.Release()
			m.Release() // does nothing
			if m.Bytes() != nil {
				t.Error("bytes after release")
			}
		}
	}
	if lent == 0 {
		t.Error("nothing was received in place")
	}
	small := make(chan error, 1)
	go func() {
		m, err := b.Receive(t.Context())
		if err == nil {
			m.Release()
		}
		small <- err
	}()
	if err := a.Send(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := <-small; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if _, err := b.Receive(t.Context()); err != io.EOF {
		t.Errorf("after the goodbye: %v", err)
	}
}

// An error of the callback comes back, and its message counts as received.
func TestEachEnds(t *testing.T) {
	for _, cfg := range []Config{{}, {InPlace: true}} {
		a, b := ringPair(t, cfg)
		if err := a.SendBatch(t.Context(), [][]byte{{0}, {1}, {2}, {3}}); err != nil {
			t.Fatal(err)
		}
		stop := errors.New("stop")
		next := byte(0)
		for next < 4 {
			n, err := b.Each(t.Context(), func(m *Message) error {
				if m.Bytes()[0] != next {
					t.Errorf("message %d, want %d", m.Bytes()[0], next)
				}
				if next++; next == 2 {
					return stop
				}
				return nil
			})
			if (next == 2) != errors.Is(err, stop) || n == 0 {
				t.Fatalf("after %d: %d messages, %v", next, n, err)
			}
		}
	}
}

// Who waits for a lock gets it in turn, or gives up.
func TestLock(t *testing.T) {
	var l lock
	ctx, cancel := context.WithCancel(t.Context())
	if !l.acquire(ctx, nil) {
		t.Fatal("a free lock")
	}
	gaveUp := make(chan bool)
	go func() { gaveUp <- !l.acquire(ctx, nil) }()
	cancel()
	if !<-gaveUp {
		t.Error("acquired a lock that is held")
	}
	closed := make(chan struct{})
	close(closed)
	if l.acquire(t.Context(), closed) {
		t.Error("acquired a lock that is held")
	}
	l.release()
	if l.state.Load() != lockFree {
		t.Errorf("state %d after everybody has gone", l.state.Load())
	}
	var wg sync.WaitGroup
	inside := 0
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				ctx, cancel := context.WithCancel(t.Context())
				go cancel()
				if l.acquire(ctx, nil) {
					inside++ // the race detector watches
					inside--
					l.release()
				}
			}
		})
	}
	wg.Wait()
	if inside != 0 || l.state.Load() != lockFree {
		t.Errorf("%d inside, state %d", inside, l.state.Load())
	}
}
