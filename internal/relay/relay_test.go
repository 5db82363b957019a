// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(proctest.Isolated(m)) }

type plain struct{ net.Conn }

func (plain) Peer() auth.Identity { return auth.Identity{} }
func (p plain) CloseWrite() error { return p.Conn.(*net.UnixConn).CloseWrite() }

// withCopy has the fast paths of the socket.
type withCopy struct{ *net.UnixConn }

func (withCopy) Peer() auth.Identity { return auth.Identity{} }

func sockets(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	x, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = x.Close(), y.Close() })
	for _, c := range []net.Conn{x, y} {
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return x.(*net.UnixConn), y.(*net.UnixConn)
}

// bridge relays between two sockets and returns the outer ends.
func bridge(t testing.TB, ctx context.Context, wrap func(*net.UnixConn) transport.Conn) (a, b *net.UnixConn, done <-chan error) { //nolint:revive // t first
	t.Helper()
	a, ra := sockets(t)
	b, rb := sockets(t)
	end := make(chan error, 1)
	go func() { end <- Copy(ctx, wrap(ra), wrap(rb)) }()
	return a, b, end
}

var wraps = map[string]func(*net.UnixConn) transport.Conn{
	"plain": func(c *net.UnixConn) transport.Conn { return plain{c} },
	"fast":  func(c *net.UnixConn) transport.Conn { return withCopy{c} },
}

func TestCopyKeepsHalfClose(t *testing.T) {
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			a, b, done := bridge(t, t.Context(), wrap)
			question := make([]byte, 1<<20)
			_, _ = rand.Read(question)
			go func() {
				_, _ = a.Write(question)
				_ = a.CloseWrite()
			}()
			got, err := io.ReadAll(b) // returns at a's half-close
			if err != nil || !bytes.Equal(got, question) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if _, err := b.Write([]byte("answer")); err != nil {
				t.Fatal(err)
			}
			_ = b.Close()
			if got, err = io.ReadAll(a); err != nil || string(got) != "answer" {
				t.Fatalf("%q, %v", got, err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestCopyKeepsBackPressure: a writer without a reader blocks soon.
func TestCopyKeepsBackPressure(t *testing.T) {
	a, b, done := bridge(t, t.Context(), wraps["plain"])
	if err := a.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := a.Write(make([]byte, 64<<20))
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("%d bytes were taken, %v", n, err)
	}
	_ = a.Close()
	got, err := io.Copy(io.Discard, b)
	if err != nil || got != int64(n) {
		t.Fatalf("%d bytes of %d, %v", got, n, err)
	}
	_ = b.Close()
	<-done
}

type broken struct {
	transport.Conn
	err error
}

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// child is a connection of which it is known when its process has ended.
type child struct {
	plain
	ended chan struct{}
}

func (c child) Wait(ctx context.Context) error {
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestCopyEndsWithAChild though the other side keeps its direction open, and
// not before the child's output has been passed on.
func TestCopyEndsWithAChild(t *testing.T) {
	a, ra := sockets(t)
	b, rb := sockets(t)
	ended := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- Copy(t.Context(), plain{ra}, child{plain{rb}, ended}) }()
	close(ended)
	if _, err := b.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	if got, err := io.ReadAll(a); err != nil || string(got) != "last words" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestCopyBringsWhatWasSaidBefore: one side takes no more, and what it had
// said is still passed on.
func TestCopyBringsWhatWasSaidBefore(t *testing.T) {
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			a, b, done := bridge(t, t.Context(), wrap)
			said := make([]byte, 1<<20)
			_, _ = rand.Read(said)
			if err := b.CloseRead(); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = a.Write([]byte("ignored")) }()
			if _, err := b.Write(said[:1]); err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = b.Write(said[1:])
				_ = b.Close()
			}()
			got, err := io.ReadAll(a)
			if err != nil || !bytes.Equal(got, said) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if err := <-done; err == nil || !strings.Contains(err.Error(), "side b failed to write") {
				t.Fatal(err)
			}
		})
	}
}

func TestCopyNamesTheSideThatFailed(t *testing.T) {
	why := errors.New("the cable is cut")
	a, ra := sockets(t)
	_, rb := sockets(t)
	err := Copy(t.Context(), plain{ra}, broken{plain{rb}, why})
	if !errors.Is(err, why) || !strings.Contains(err.Error(), "side b failed to read") {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // io.Reader's contract
		t.Fatalf("the other side was not ended: %v", err)
	}
}

func TestCopyEndsWithItsContext(t *testing.T) {
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			_, _, done := bridge(t, ctx, wrap)
			cancel()
			if err := <-done; !errors.Is(err, fault.Canceled) {
				t.Fatal(err)
			}
		})
	}
}

func TestStdio(t *testing.T) {
	a, b := sockets(t)
	var out bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- Stdio(t.Context(), plain{a}, strings.NewReader("question"), &out) }()
	got, err := io.ReadAll(b) // returns at the end of input
	if err != nil || string(got) != "question" {
		t.Fatalf("%q, %v", got, err)
	}
	_, _ = b.Write([]byte("answer"))
	_ = b.Close()
	if err := <-done; err != nil || out.String() != "answer" {
		t.Fatalf("%q, %v", out.String(), err)
	}
}

// TestStdioSendsAFileToItsEnd although the peer has ended its direction first.
func TestStdioSendsAFileToItsEnd(t *testing.T) {
	a, b := sockets(t)
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	done := make(chan error, 1)
	seen := make(chan struct{})
	go func() { done <- Stdio(t.Context(), plain{a}, in, io.Discard) }()
	_ = b.CloseWrite()
	go func() {
		defer close(seen)
		got, err := io.ReadAll(b)
		if err != nil || string(got) != "late" {
			t.Errorf("%q, %v", got, err)
		}
	}()
	_, _ = typed.WriteString("late")
	_ = typed.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-seen
}

// TestStdioIsNotKeptByATerminal: the input never says anything.
func TestStdioIsNotKeptByATerminal(t *testing.T) {
	a, b := sockets(t)
	in, typed := io.Pipe()
	defer func() { _ = typed.Close() }()
	done := make(chan error, 1)
	go func() { done <- Stdio(t.Context(), plain{a}, in, io.Discard) }()
	_ = b.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestStdioEndsWithItsContext(t *testing.T) {
	a, _ := sockets(t)
	ctx, cancel := context.WithCancel(t.Context())
	in, typed := io.Pipe()
	defer func() { _ = typed.Close() }()
	done := make(chan error, 1)
	go func() { done <- Stdio(ctx, plain{a}, in, io.Discard) }()
	cancel()
	if err := <-done; !errors.Is(err, fault.Canceled) {
		t.Fatal(err)
	}
}

func TestStdioTellsOfAFullOutput(t *testing.T) {
	a, b := sockets(t)
	why := errors.New("no space")
	done := make(chan error, 1)
	go func() { done <- Stdio(t.Context(), plain{a}, strings.NewReader(""), full{why}) }()
	_, _ = b.Write([]byte("x"))
	if err := <-done; !errors.Is(err, why) {
		t.Fatal(err)
	}
}

type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }
