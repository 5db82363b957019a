// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// halfClose ends each direction by itself: what was written still arrives,
// then io.EOF, and the other direction goes on.
func halfClose(t *testing.T, b Backend) {
	bothWays(t, b, func(t *testing.T, near, far transport.Conn) {
		send(t, near, "last words")
		for range 2 {
			if err := near.CloseWrite(); err != nil {
				t.Fatalf("CloseWrite: %v", err)
			}
		}
		if _, err := near.Write([]byte("x")); err == nil {
			t.Error("Write after CloseWrite succeeded")
		}
		receive(t, far, "last words")
		wantEOF(t, far)
		answer := noise(1, 3<<20)
		done := make(chan error, 1)
		go func() { done <- writeFrame(far, answer) }()
		if got, err := readFrame(near); err != nil || len(got) != len(answer) {
			t.Fatalf("after CloseWrite: read %d bytes of %d, %v", len(got), len(answer), err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := far.CloseWrite(); err != nil {
			t.Fatalf("CloseWrite of the second side: %v", err)
		}
		wantEOF(t, near)
	})
}

// endOfStream: after Close the peer reads what was written, then io.EOF, again
// and again; and its writes fail in the end.
func endOfStream(t *testing.T, b Backend) {
	bothWays(t, b, func(t *testing.T, near, far transport.Conn) {
		send(t, near, "goodbye")
		closeNow(t, near)
		receive(t, far, "goodbye")
		wantEOF(t, far)
		wantEOF(t, far)
		for {
			if _, err := far.Write(make([]byte, 1<<16)); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("writing to a closed peer blocks: %v", err)
				}
				return
			}
		}
	})
}

// readDeadline: a Read times out, takes nothing, and goes on afterwards.
func readDeadline(t *testing.T, b Backend) {
	bothWays(t, b, func(t *testing.T, near, far transport.Conn) {
		for _, d := range []time.Duration{-time.Second, 0, 20 * time.Millisecond} {
			if err := near.SetReadDeadline(time.Now().Add(d)); err != nil {
				t.Fatal(err)
			}
			n, err := near.Read(make([]byte, 8))
			wantTimeout(t, n, err)
		}
		bound(t, near)
		send(t, far, "still here")
		receive(t, near, "still here")
		send(t, near, "and back")
		receive(t, far, "and back")
	})
}

// writeDeadline: a Write that finds no room times out and says how much it
// wrote; what it wrote arrives.
func writeDeadline(t *testing.T, b Backend) {
	bothWays(t, b, func(t *testing.T, near, far transport.Conn) {
		if err := near.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		total, chunk := 0, noise(7, 1<<20)
		for {
			n, err := near.Write(chunk)
			total += n
			if err != nil {
				wantTimeout(t, 0, err)
				break
			}
		}
		if b.NoWriteAfter {
			return
		}
		go func() { _ = near.CloseWrite() }()
		if n, err := io.Copy(io.Discard, far); err != nil || n != int64(total) {
			t.Errorf("Write said %d bytes, %d arrived, %v", total, n, err)
		}
	})
}

// closeUnblocks: Close ends our own Read and Write that wait.
func closeUnblocks(t *testing.T, b Backend) {
	bothWays(t, b, func(t *testing.T, near, _ transport.Conn) {
		ended := make(chan error, 2)
		started := make(chan struct{}, 2)
		go func() {
			started <- struct{}{}
			_, err := near.Read(make([]byte, 1))
			ended <- err
		}()
		go func() {
			started <- struct{}{}
			for {
				if _, err := near.Write(make([]byte, 1<<20)); err != nil {
					ended <- err
					return
				}
			}
		}()
		<-started
		<-started
		closeNow(t, near)
		for range 2 {
			if err := within(t, "a wait on a closed connection", ended); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a wait ended by Close returned %v, want net.ErrClosed", err)
			}
		}
	})
}

// closed: Close is idempotent, and what comes after it is net.ErrClosed.
func closed(t *testing.T, b Backend) {
	bothWays(t, b, func(t *testing.T, near, _ transport.Conn) {
		peer := near.Peer()
		closeNow(t, near)
		closeNow(t, near)
		_, readErr := near.Read(make([]byte, 1))
		_, writeErr := near.Write([]byte("x"))
		deadline := near.SetDeadline(time.Now())
		for what, err := range map[string]error{"Read": readErr, "Write": writeErr, "SetDeadline": deadline} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v, want net.ErrClosed", what, err)
			}
		}
		if near.Peer().String() != peer.String() || near.LocalAddr() == nil || near.RemoteAddr() == nil {
			t.Error("Peer or an address changed with Close")
		}
	})
}

// contexts checks the optional waits that take a context.
func contexts(t *testing.T, b Backend) {
	bothWays(t, b, func(t *testing.T, near, far transport.Conn) {
		r, okR := near.(transport.ContextReader)
		w, okW := near.(transport.ContextWriter)
		if okR {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			if n, err := r.ReadContext(ctx, make([]byte, 8)); n != 0 || fault.KindOf(err) != fault.Canceled {
				t.Errorf("ReadContext = %d, %v, want cancelled", n, err)
			}
			send(t, far, "after")
			receive(t, near, "after")
		}
		if okW {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			var err error
			for err == nil {
				_, err = w.WriteContext(ctx, make([]byte, 1<<20))
			}
			if fault.KindOf(err) != fault.Timeout {
				t.Errorf("WriteContext: %v, want the context's end", err)
			}
		}
	})
}

func send(t testing.TB, c net.Conn, s string) {
	t.Helper()
	if n, err := c.Write([]byte(s)); err != nil || n != len(s) {
		t.Errorf("Write(%q) = %d, %v", s, n, err)
	}
}

func receive(t testing.TB, c net.Conn, want string) {
	t.Helper()
	p := make([]byte, len(want))
	if n, err := io.ReadFull(c, p); err != nil || string(p) != want {
		t.Fatalf("read %q, %v, want %q", p[:n], err, want)
	}
}

func wantEOF(t testing.TB, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 8)); n != 0 || err != io.EOF { //nolint:errorlint // the rule of io.Reader is io.EOF itself
		t.Fatalf("Read = %d, %v, want io.EOF", n, err)
	}
}

func wantTimeout(t testing.TB, n int, err error) {
	t.Helper()
	var ne net.Error
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("after the deadline: %d, %v, want os.ErrDeadlineExceeded", n, err)
	}
}
