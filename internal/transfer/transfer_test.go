// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/primitive/filelock"
)

type plain struct{ net.Conn }

func (plain) Peer() auth.Identity { return auth.Identity{Method: auth.None} }
func (p plain) CloseWrite() error { return p.Conn.(*net.UnixConn).CloseWrite() }

func pair(t testing.TB) (a, b *message.Conn) {
	t.Helper()
	x, y := sockets(t)
	return conversation(t, x, y)
}

func conversation(t testing.TB, x, y net.Conn) (a, b *message.Conn) {
	a, b = message.NewConn(plain{x}, message.Config{}), message.NewConn(plain{y}, message.Config{})
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a, b
}

func sockets(t testing.TB) (x, y net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if x, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if y, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return x, y
}

func background(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// run transfers files into dir and returns both sides' errors.
func run(t testing.TB, files []string, so SendOptions, dir string, ro ReceiveOptions) (serr, rerr error) {
	t.Helper()
	a, b := pair(t)
	done := make(chan error, 1)
	go func() { done <- Receive(background(t), b, dir, ro) }()
	serr = Send(background(t), a, files, so)
	if serr != nil {
		_ = a.Close()
	}
	return serr, <-done
}

func write(t testing.TB, path string, n int, mode fs.FileMode) []byte {
	t.Helper()
	p := make([]byte, n)
	_, _ = rand.Read(p)
	if err := os.WriteFile(path, p, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return p
}

func wantNames(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("%s holds %q, want %q", dir, got, want)
	}
}

func TestFilesArriveWhole(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	var paths, names []string
	var contents [][]byte
	for i, n := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 5*chunkSize + 7} {
		names = append(names, fmt.Sprint("f", i))
		paths = append(paths, filepath.Join(from, names[i]))
		contents = append(contents, write(t, paths[i], n, 0o640|fs.FileMode(i&1)<<6|fs.ModeSetuid))
	}
	var got []string
	var last Progress
	serr, rerr := run(t, paths, SendOptions{Progress: func(p Progress) { last = p }}, to,
		ReceiveOptions{Sync: true, Received: func(r Received) { got = append(got, r.Name) }})
	if serr != nil || rerr != nil {
		t.Fatal(serr, rerr)
	}
	wantNames(t, to, names...)
	for i, name := range names {
		p, err := os.ReadFile(filepath.Join(to, name))
		if err != nil || !bytes.Equal(p, contents[i]) {
			t.Fatalf("%s: %d bytes, %v, want %d", name, len(p), err, len(contents[i]))
		}
		info, _ := os.Stat(filepath.Join(to, name))
		if want := 0o640 | fs.FileMode(i&1)<<6; info.Mode() != want {
			t.Fatalf("%s: mode %v, want %v", name, info.Mode(), want)
		}
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Fatalf("reported %q", got)
	}
	if last != (Progress{"f5", 5*chunkSize + 7, 5*chunkSize + 7}) {
		t.Fatalf("last progress %v", last)
	}
}

// TestFileThatLiesAboutItsSize: files of /proc say 0.
func TestFileThatLiesAboutItsSize(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("uses /proc")
	}
	to := t.TempDir()
	serr, rerr := run(t, []string{"/proc/version"}, SendOptions{}, to, ReceiveOptions{})
	if serr != nil || rerr != nil {
		t.Fatal(serr, rerr)
	}
	if info, err := os.Stat(filepath.Join(to, "version")); err != nil || info.Size() == 0 {
		t.Fatal(info, err)
	}
}

func TestStdin(t *testing.T) {
	to := t.TempDir()
	serr, rerr := run(t, []string{"-"}, SendOptions{Stdin: strings.NewReader("from a pipe"), Name: "log"}, to, ReceiveOptions{})
	if serr != nil || rerr != nil {
		t.Fatal(serr, rerr)
	}
	if p, _ := os.ReadFile(filepath.Join(to, "log")); string(p) != "from a pipe" {
		t.Fatalf("got %q", p)
	}
}

func TestExistingFileIsRefusedAndOthersPass(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	write(t, filepath.Join(from, "a"), 2000, 0o600)
	b := write(t, filepath.Join(from, "b"), 10, 0o600)
	old := write(t, filepath.Join(to, "a"), 5, 0o600)
	paths := []string{filepath.Join(from, "a"), filepath.Join(from, "missing"), filepath.Join(from, "b")}
	serr, rerr := run(t, paths, SendOptions{}, to, ReceiveOptions{})
	for _, err := range []error{serr, rerr} {
		if !errors.Is(err, fault.InUse) || !strings.Contains(err.Error(), "--force") {
			t.Fatalf("%v does not say what to do", err)
		}
	}
	if !errors.Is(serr, fs.ErrNotExist) {
		t.Fatalf("%v does not tell of the missing file", serr)
	}
	wantNames(t, to, "a", "b")
	if p, _ := os.ReadFile(filepath.Join(to, "a")); !bytes.Equal(p, old) {
		t.Fatal("the existing file was changed")
	}
	if p, _ := os.ReadFile(filepath.Join(to, "b")); !bytes.Equal(p, b) {
		t.Fatal("the other file did not arrive")
	}
	if serr, rerr = run(t, paths[:1], SendOptions{}, to, ReceiveOptions{Force: true}); serr != nil || rerr != nil {
		t.Fatal(serr, rerr)
	}
	if p, _ := os.ReadFile(filepath.Join(to, "a")); len(p) != 2000 {
		t.Fatal("force did not replace it")
	}
}

// TestNameTakenMeanwhile: the name is free at the offer and taken at the end.
func TestNameTakenMeanwhile(t *testing.T) {
	to := t.TempDir()
	first := true
	serr, rerr := run(t, []string{"-"}, SendOptions{Stdin: strings.NewReader("new")}, to, ReceiveOptions{Progress: func(Progress) {
		if first {
			write(t, filepath.Join(to, "stdin"), 7, 0o600)
			first = false
		}
	}})
	if !errors.Is(serr, fault.InUse) || !errors.Is(rerr, fault.InUse) {
		t.Fatal(serr, rerr)
	}
	wantNames(t, to, "stdin")
	if p, _ := os.ReadFile(filepath.Join(to, "stdin")); len(p) != 7 {
		t.Fatal("it was overwritten")
	}
}

func TestReceiverThatCannotWriteSaysWhy(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("uses /proc, a directory in which nobody can create files")
	}
	serr, rerr := run(t, []string{"-"}, SendOptions{Stdin: strings.NewReader("x")}, "/proc/self/fdinfo", ReceiveOptions{})
	if serr == nil || rerr == nil || !strings.Contains(serr.Error(), "the receiver says") {
		t.Fatal(serr, rerr)
	}
	serr, rerr = run(t, []string{"-"}, SendOptions{Stdin: strings.NewReader("x")}, "/nonexistent", ReceiveOptions{})
	if !errors.Is(serr, fault.NotFound) || !errors.Is(rerr, fault.NotFound) {
		t.Fatal(serr, rerr)
	}
}

// TestReceiverFailsInTheMiddle: told while data is still under way.
func TestReceiverFailsInTheMiddle(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	big, small := filepath.Join(from, "big"), filepath.Join(from, "small")
	write(t, big, 20*chunkSize, 0o600)
	write(t, small, 3, 0o600)
	grown := false
	serr, rerr := run(t, []string{big, small}, SendOptions{Progress: func(p Progress) {
		if !grown && p.Name == "big" { // more comes than was announced
			grown = true
			f, err := os.OpenFile(big, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = f.Write(make([]byte, 4*chunkSize))
			_ = f.Close()
		}
	}}, to, ReceiveOptions{})
	for _, err := range []error{serr, rerr} {
		if err == nil || !strings.Contains(err.Error(), "grew while it was sent") {
			t.Fatal(serr, rerr)
		}
	}
	wantNames(t, to, "small")
}

type brokenReader struct{ io.Reader }

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF { //nolint:errorlint // a reader's
		err = errors.New("the disk is on fire")
	}
	return n, err
}

func TestSenderThatCannotReadOn(t *testing.T) {
	to := t.TempDir()
	serr, rerr := run(t, []string{"-"}, SendOptions{Stdin: brokenReader{strings.NewReader("half")}}, to, ReceiveOptions{})
	if serr == nil || !strings.Contains(serr.Error(), "on fire") || rerr == nil || !strings.Contains(rerr.Error(), "abandoned") {
		t.Fatal(serr, rerr)
	}
	wantNames(t, to)
}

// TestReceiverGoneWhileStdinIsSilent: the sender does not wait for a terminal.
func TestReceiverGoneWhileStdinIsSilent(t *testing.T) {
	a, b := pair(t)
	in, out := io.Pipe()
	defer func() { _ = out.Close() }()
	sent := make(chan error, 1)
	go func() { sent <- Send(background(t), a, []string{"-"}, SendOptions{Stdin: in}) }()
	for range 2 { // hello, offer
		m, err := b.Receive(background(t))
		if err != nil {
			t.Fatal(err)
		}
		m.Release()
	}
	if err := b.Send(background(t), []byte{tagReady}); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	if err := <-sent; !errors.Is(err, fault.PeerDied) {
		t.Fatal(err)
	}
}

func TestSenderGoneInTheMiddle(t *testing.T) {
	to := t.TempDir()
	a, b := pair(t)
	done := make(chan error, 1)
	go func() { done <- Receive(background(t), b, to, ReceiveOptions{}) }()
	ctx := background(t)
	for _, p := range [][]byte{appendHello(nil), appendOffer(nil, offer{size: 10, name: "x"}), append([]byte{tagData}, "half"...)} {
		if err := a.Send(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	_ = a.Close() // even an orderly end
	if err := <-done; !errors.Is(err, fault.PeerDied) {
		t.Fatal(err)
	}
	wantNames(t, to)
}

func TestWrongChecksum(t *testing.T) {
	to := t.TempDir()
	a, b := pair(t)
	done := make(chan error, 1)
	go func() { done <- Receive(background(t), b, to, ReceiveOptions{}) }()
	ctx := background(t)
	for _, p := range [][]byte{appendHello(nil), appendOffer(nil, offer{size: 4, name: "x"}), append([]byte{tagData}, "half"...), appendEnd(nil, digest{size: 4})} {
		if err := a.Send(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.CloseWrite(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Fatal(err)
	}
	wantNames(t, to)
}

func TestSweepTakesOnlyTheDead(t *testing.T) {
	to := t.TempDir()
	root, err := os.OpenRoot(to)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	alive, err := newPart(root, "alive")
	if err != nil {
		t.Fatal(err)
	}
	defer alive.discard()
	write(t, filepath.Join(to, partName("dead", "0123456789abcdef")), 9, 0o600)
	write(t, filepath.Join(to, ".mine.parley-part-x"), 9, 0o600)
	if err := os.Symlink("alive", filepath.Join(to, partName("link", "0123456789abcdef"))); err != nil {
		t.Fatal(err)
	}
	sweep(root)
	wantNames(t, to, alive.name, partName("link", "0123456789abcdef"), ".mine.parley-part-x")
	if held, err := filelock.New(alive.f).HeldElsewhere(); held || err != nil {
		t.Fatal("the lock is not the part's own", held, err)
	}
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", ".", "..", "..x", "a/b", "/a", `a\b`, "a\x00b", "a\nb", "a\u009b2Jb", "\xff", strings.Repeat("x", 256), partName("x", "0123456789abcdef")} {
		if !errors.Is(CheckName(bad), fault.Invalid) {
			t.Errorf("%q passed", bad)
		}
	}
	for _, good := range []string{"a", ".bashrc", "a b", "naïve.txt", strings.Repeat("x", 255), "a..b"} {
		if err := CheckName(good); err != nil {
			t.Error(err)
		}
	}
}

func FuzzOffer(f *testing.F) {
	f.Add(appendOffer(nil, offer{mode: 0o644, size: 3, name: "a"}))
	f.Add(appendOffer(nil, offer{mode: 0o644, size: -1, name: "../a"}))
	f.Fuzz(func(t *testing.T, p []byte) {
		o, err := parseOffer(p)
		if err != nil {
			return
		}
		if o.mode&^0o777 != 0 || o.size < unknownSize {
			t.Fatalf("%+v", o)
		}
		if CheckName(o.name) != nil {
			return
		}
		if filepath.Base(o.name) != o.name || !filepath.IsLocal(o.name) || strings.ContainsAny(o.name, "\x00/\\") {
			t.Fatalf("the name %q passed", o.name)
		}
		if n := partName(o.name, "0123456789abcdef"); len(n) > maxName || !isPart(n) {
			t.Fatalf("partial name %q", n)
		}
	})
}

// FuzzReceive feeds a receiver with a hostile sender's messages, split at 0xfe.
func FuzzReceive(f *testing.F) {
	sep := []byte{0xfe}
	f.Add(bytes.Join([][]byte{appendHello(nil), appendOffer(nil, offer{size: 1, name: "a"}), {tagData, 'x'}, appendEnd(nil, digest{size: 1})}, sep))
	f.Fuzz(func(t *testing.T, in []byte) {
		outer := t.TempDir()
		to := filepath.Join(outer, "in")
		if err := os.Mkdir(to, 0o700); err != nil {
			t.Fatal(err)
		}
		a, b := pair(t)
		done := make(chan error, 1)
		go func() { done <- Receive(background(t), b, to, ReceiveOptions{}) }()
		for p := range bytes.SplitSeq(in, sep) {
			if a.Send(background(t), p) != nil {
				break
			}
		}
		_ = a.Close()
		<-done
		wantNames(t, outer, "in")
		entries, _ := os.ReadDir(to)
		for _, e := range entries {
			if isPart(e.Name()) {
				t.Fatalf("left %q", e.Name())
			}
		}
	})
}

func BenchmarkTransfer(b *testing.B) {
	from, to := b.TempDir(), b.TempDir()
	path := filepath.Join(from, "big")
	const size = 64 << 20
	write(b, path, size, 0o600)
	b.SetBytes(size)
	for b.Loop() {
		if serr, rerr := run(b, []string{path}, SendOptions{}, to, ReceiveOptions{Force: true}); serr != nil || rerr != nil {
			b.Fatal(serr, rerr)
		}
	}
}
