// SPDX-License-Identifier: Apache-2.0

package fdpass_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/fdpass"
)

// pair is a connected pair of stream sockets.
func pair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	conns := [2]*net.UnixConn{}
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		conns[i] = c.(*net.UnixConn)
		t.Cleanup(func() { _ = c.Close() })
	}
	return conns[0], conns[1]
}

func tempFile(t testing.TB, content string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestFilesTravelWithTheirBytes(t *testing.T) {
	a, b := pair(t)
	for _, content := range []string{"one", "two"} {
		f := tempFile(t, content)
		if n, err := fdpass.Write(a, []byte("with "+content), []*os.File{f}); err != nil || n != 8 {
			t.Fatalf("Write = %d, %v", n, err)
		}
		_ = f.Close() // the peer has its own
	}
	for _, content := range []string{"one", "two"} {
		p := make([]byte, 100) // room for both: the kernel must keep the groups apart
		n, files, err := fdpass.Read(b, p)
		if err != nil || string(p[:n]) != "with "+content || len(files) != 1 {
			t.Fatalf("Read = %q, %d files, %v", p[:n], len(files), err)
		}
		got, err := io.ReadAll(files[0])
		if err != nil || string(got) != content {
			t.Errorf("the file reads %q, %v, want %q", got, err, content)
		}
		flags, err := unix.FcntlInt(files[0].Fd(), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("a received file would be inherited by our children: flags %#x, %v", flags, err)
		}
		_ = files[0].Close()
	}
}

func TestWriteChecksWhatItIsGiven(t *testing.T) {
	a, _ := pair(t)
	f := tempFile(t, "x")
	many := make([]*os.File, fdpass.Max+1)
	for i := range many {
		many[i] = f
	}
	closed := tempFile(t, "y")
	_ = closed.Close()
	cases := []struct {
		name  string
		p     []byte
		files []*os.File
		want  fault.Kind
	}{
		{"65 files", []byte("p"), many, fault.TooLarge},
		{"no byte", nil, []*os.File{f}, fault.Invalid},
		{"closed file", []byte("p"), []*os.File{closed}, fault.Invalid},
	}
	for _, c := range cases {
		if n, err := fdpass.Write(a, c.p, c.files); n != 0 || !errors.Is(err, c.want) {
			t.Errorf("%s: %d, %v, want %v", c.name, n, err, c.want)
		}
	}
}

// More than the socket's buffer, from several goroutines: nothing interleaves,
// each file comes with the first byte of its own block.
func TestLargeWritesStayWhole(t *testing.T) {
	const writers, size = 4, 1 << 20
	a, b := pair(t)
	var wg sync.WaitGroup
	for w := range writers {
		f := tempFile(t, string(rune('a'+w)))
		wg.Go(func() {
			if n, err := fdpass.Write(a, bytes.Repeat([]byte{byte('a' + w)}, size), []*os.File{f}); n != size || err != nil {
				t.Errorf("Write = %d, %v", n, err)
			}
		})
	}
	p := make([]byte, 64<<10)
	for range writers {
		var letter byte
		for got := 0; got < size; {
			n, files, err := fdpass.Read(b, p[:min(len(p), size-got)])
			if err != nil {
				t.Fatal(err)
			}
			if (got == 0) != (len(files) == 1) {
				t.Fatalf("%d files came at offset %d", len(files), got)
			}
			if got == 0 {
				letter = p[0]
				name, _ := io.ReadAll(files[0])
				if len(name) != 1 || name[0] != letter {
					t.Errorf("the block of %c came with the file of %s", letter, name)
				}
				_ = files[0].Close()
			}
			if len(bytes.Trim(p[:n], string(letter))) != 0 {
				t.Fatalf("another's bytes are in the block of %c", letter)
			}
			got += n
		}
	}
	wg.Wait()
}

func TestTooManyFilesFromAHostilePeer(t *testing.T) {
	proctest.NeedsKernel(t, "cuts no control message short")
	a, b := pair(t)
	raw, err := a.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fds := make([]int, fdpass.Max+1)
	for i := range fds {
		fds[i] = int(os.Stderr.Fd())
	}
	before := proctest.Descriptors(t)
	if err := raw.Control(func(fd uintptr) { err = unix.Sendmsg(int(fd), []byte("x"), unix.UnixRights(fds...), nil, 0) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	n, files, err := fdpass.Read(b, make([]byte, 10))
	if len(files) != 0 || !errors.Is(err, fault.Exhausted) {
		t.Errorf("Read = %d, %d files, %v, want none and fault.Exhausted", n, len(files), err)
	}
	if after := proctest.Descriptors(t); after != before {
		t.Errorf("%d descriptors were open before and %d are after", before, after)
	}
}

func TestFullDescriptorTable(t *testing.T) {
	a, b := pair(t)
	f := tempFile(t, "x")
	if _, err := fdpass.Write(a, []byte("p"), []*os.File{f, f, f}); err != nil {
		t.Fatal(err)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	tight := unix.Rlimit{Cur: 1, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &tight); err != nil {
		t.Fatal(err)
	}
	_, files, err := fdpass.Read(b, make([]byte, 10))
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if len(files) != 0 || !errors.Is(err, fault.Exhausted) {
		t.Errorf("with a full table Read = %d files, %v, want fault.Exhausted", len(files), err)
	}
}

func TestReadAtTheEnd(t *testing.T) {
	a, b := pair(t)
	_ = a.Close()
	if n, _, err := fdpass.Read(b, make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("Read = %d, %v, want io.EOF", n, err)
	}
}

func FuzzControlMessages(f *testing.F) {
	f.Add(unix.UnixRights(99999))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, oob []byte) { fdpass.ParseForTest(oob) })
}

func TestReadingBytesAllocatesNothing(t *testing.T) {
	a, b := pair(t)
	r, err := fdpass.NewReader(b)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 64)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := a.Write(p); err != nil {
			t.Fatal(err)
		}
		if n, _, err := r.Read(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	})
	if allocs != 0 {
		t.Errorf("a read without files allocates %v times", allocs)
	}
}

func TestReadHonoursItsDeadline(t *testing.T) {
	_, b := pair(t)
	if err := b.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fdpass.Read(b, make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want os.ErrDeadlineExceeded", err)
	}
}
