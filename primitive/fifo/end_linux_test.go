// SPDX-License-Identifier: Apache-2.0

package fifo_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/fifo"
)

func pipe(t *testing.T, capacity int) (r, w *fifo.End) {
	t.Helper()
	r, w, err := fifo.Pipe(capacity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

func end(t *testing.T, f fifo.File) *fifo.End {
	t.Helper()
	e, err := fifo.NewEnd(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func briefly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// untilFull ends once n bytes are in the pipe, however long that takes.
func untilFull(t *testing.T, r *fifo.End, n int) context.Context {
	t.Helper()
	raw, err := r.File().(*os.File).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() {
		for have := 0; have < n && ctx.Err() == nil; runtime.Gosched() {
			_ = raw.Control(func(fd uintptr) { have, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		}
		cancel()
	}()
	return ctx
}

func data(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// feed writes b and closes.
func feed(t *testing.T, w *fifo.End, b []byte) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := w.Write(context.Background(), b)
		done <- errors.Join(err, w.Close())
	}()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func readAll(t *testing.T, r *fifo.End) []byte {
	t.Helper()
	var all []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(t.Context(), buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPipeWaitsUnderContexts(t *testing.T) {
	r, w := pipe(t, 4096)
	if n, err := fifo.Capacity(w.File().(*os.File)); err != nil || n != 4096 {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := r.Read(briefly(t), make([]byte, 1)); !errors.Is(err, fault.Timeout) {
		t.Error(err)
	}
	if n, err := w.Write(untilFull(t, r, 4096), make([]byte, 5000)); n != 4096 || !errors.Is(err, fault.Canceled) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if n, err := r.Read(t.Context(), make([]byte, 5000)); n != 4096 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	_ = w.Close()
	if _, err := r.Read(t.Context(), make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	if _, err := w.Write(t.Context(), []byte{1}); !errors.Is(err, fault.Closed) {
		t.Error(err)
	}
	r, w = pipe(t, 0)
	_ = r.Close()
	if _, err := w.Write(t.Context(), []byte{1}); !errors.Is(err, fault.PeerDied) {
		t.Error(err)
	}
}

// TestSpliceMovesEverything: through a small pipe into a large one, both ways
// round, and the end is passed on.
func TestSpliceMovesEverything(t *testing.T) {
	want := data(1 << 20)
	for _, capacities := range [][2]int{{4096, 1 << 16}, {1 << 16, 4096}} {
		a, feeder := pipe(t, capacities[0])
		out, b := pipe(t, capacities[1])
		feed(t, feeder, want)
		go func() {
			for {
				if _, err := fifo.Splice(context.Background(), b, a, 1<<20); err != nil {
					_ = b.Close()
					return
				}
			}
		}()
		if got := readAll(t, out); !bytes.Equal(got, want) {
			t.Errorf("%d bytes of %d", len(got), len(want))
		}
	}
}

// TestSpliceWithSocketsAndFiles: file to pipe to socket to pipe to file.
func TestSpliceWithSocketsAndFiles(t *testing.T) {
	want := data(300 << 10)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	near, far := sockets(t)
	go func() {
		pump(t, end(t, near), end(t, in))
		_ = near.CloseWrite()
	}()
	pump(t, end(t, out), end(t, far))
	if got, err := os.ReadFile(out.Name()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

// pump moves all of src to dst through a pipe.
func pump(t *testing.T, dst, src *fifo.End) {
	r, w := pipe(t, 0)
	for {
		n, err := fifo.Splice(context.Background(), w, src, 64<<10)
		if err == io.EOF {
			return
		}
		for n > 0 && err == nil {
			var moved int
			moved, err = fifo.Splice(context.Background(), dst, r, n)
			n -= moved
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

func sockets(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]*net.UnixConn, 2)
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		ends[i] = c.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// TestSpliceWaitsForEitherSide, and its context ends both waits.
func TestSpliceWaitsForEitherSide(t *testing.T) {
	a, feeder := pipe(t, 4096)
	out, b := pipe(t, 4096)
	if _, err := fifo.Splice(briefly(t), b, a, 1); !errors.Is(err, fault.Timeout) {
		t.Errorf("nothing to read: %v", err)
	}
	if _, err := b.Write(t.Context(), make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	if _, err := feeder.Write(t.Context(), []byte("more")); err != nil {
		t.Fatal(err)
	}
	if _, err := fifo.Splice(briefly(t), b, a, 4); !errors.Is(err, fault.Timeout) {
		t.Errorf("no room: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		n, err := fifo.Splice(context.Background(), b, a, 4)
		if n != 4 && err == nil {
			err = errors.New("not 4 bytes")
		}
		done <- err
	}()
	if _, err := out.Read(t.Context(), make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	_ = out.Close()
	_, _ = feeder.Write(t.Context(), []byte("x"))
	if _, err := fifo.Splice(t.Context(), b, a, 1); !errors.Is(err, fault.PeerDied) {
		t.Errorf("nobody reads: %v", err)
	}
}

func TestTeeLeavesTheBytes(t *testing.T) {
	a, feeder := pipe(t, 0)
	out, b := pipe(t, 0)
	if _, err := fifo.Tee(briefly(t), b, a, 1); !errors.Is(err, fault.Timeout) {
		t.Error(err)
	}
	if _, err := feeder.Write(t.Context(), []byte("twice")); err != nil {
		t.Fatal(err)
	}
	n, err := fifo.Tee(t.Context(), b, a, 100)
	if n != 5 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	buf := make([]byte, 10)
	for _, e := range []*fifo.End{a, out} {
		if n, err := e.Read(t.Context(), buf); string(buf[:n]) != "twice" || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
	}
}

// TestVmspliceIsNoCopy: what is changed in the memory afterwards changes in the
// pipe, which is the proof that nothing was copied, and the reason for care.
func TestVmspliceIsNoCopy(t *testing.T) {
	mem, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(mem) }()
	copy(mem, "before")
	r, w := pipe(t, 0)
	if n, err := fifo.Vmsplice(t.Context(), w, mem); n != len(mem) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	copy(mem, "after!")
	got := make([]byte, len(mem))
	if n, err := r.Read(t.Context(), got); n != len(mem) || err != nil || string(got[:6]) != "after!" {
		t.Errorf("%d, %v, %q", n, err, got[:6])
	}
	r, w = pipe(t, 4096)
	if n, err := fifo.Vmsplice(t.Context(), w, mem); n != 4096 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := fifo.Vmsplice(briefly(t), w, mem); !errors.Is(err, fault.Timeout) {
		t.Error(err)
	}
	_ = r.Close()
}

// BenchmarkMove compares what goes through the program with what does not.
func BenchmarkMove(b *testing.B) {
	for _, way := range []string{"copy", "splice"} {
		b.Run(way, func(b *testing.B) {
			a, feeder, err := fifo.Pipe(1 << 20)
			if err != nil {
				b.Fatal(err)
			}
			null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
			if err != nil {
				b.Fatal(err)
			}
			sink, err := fifo.NewEnd(null)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _, _, _ = a.Close(), feeder.Close(), sink.Close() }()
			piece := make([]byte, 1<<20)
			b.SetBytes(int64(len(piece)))
			for b.Loop() {
				if _, err := feeder.Write(b.Context(), piece); err != nil {
					b.Fatal(err)
				}
				for left := len(piece); left > 0; {
					var n int
					if way == "splice" {
						n, err = fifo.Splice(b.Context(), sink, a, left)
					} else if n, err = a.Read(b.Context(), piece[:left]); err == nil {
						_, err = null.Write(piece[:n])
					}
					if err != nil {
						b.Fatal(err)
					}
					left -= n
				}
			}
		})
	}
}
