// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// files checks FilePasser within the process.
func files(t *testing.T, b Backend) {
	t.Run("Grouping", func(t *testing.T) { bothWays(t, b, filesGrouping) })
	t.Run("Limit", func(t *testing.T) { bothWays(t, b, filesLimit) })
	t.Run("PlainRead", func(t *testing.T) { bothWays(t, b, filesPlainRead) })
	t.Run("Kinds", func(t *testing.T) { bothWays(t, b, filesKinds) })
	t.Run("Load", func(t *testing.T) { filesLoad(t, b) })
	t.Run("Unread", func(t *testing.T) {
		unread := func(t *testing.T) { filesUnread(t, b) }
		t.Run("once", unread)
		before := takeInventory()
		t.Run("again", unread)
		before.compare(t)
	})
}

// noFiles: a backend that says it carries none says so when asked, too.
func noFiles(t *testing.T, b Backend) {
	near, _ := pair(t, b)
	p, ok := near.(transport.FilePasser)
	if !ok {
		return
	}
	if _, err := p.WriteFiles([]byte("x"), []*os.File{scratch(t, "x")}); !errors.Is(err, fault.Unsupported) {
		t.Errorf("WriteFiles: %v, want %v, or Backend.Files", err, fault.Unsupported)
	}
}

// scratch is an open file that holds text.
func scratch(t testing.TB, text string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "file")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return f
}

func passer(t testing.TB, c transport.Conn) transport.FilePasser {
	t.Helper()
	p, ok := c.(transport.FilePasser)
	if !ok {
		t.Fatalf("%T is no FilePasser", c)
	}
	return p
}

// sendFiles and send run in any goroutine; whoever waits for the bytes has a
// deadline.
func sendFiles(t testing.TB, c transport.Conn, text string, fs ...*os.File) {
	t.Helper()
	p, ok := c.(transport.FilePasser)
	if !ok {
		t.Errorf("%T is no FilePasser", c)
		return
	}
	if n, err := p.WriteFiles([]byte(text), fs); err != nil || n != len(text) {
		t.Errorf("WriteFiles of %d bytes and %d files = %d, %v", len(text), len(fs), n, err)
	}
}

// receiveFiles reads exactly n bytes and returns the files that came.
func receiveFiles(t testing.TB, c transport.Conn, n int) (string, []*os.File) {
	t.Helper()
	p, got := make([]byte, n), 0
	var all []*os.File
	for got < n {
		m, fs, err := passer(t, c).ReadFiles(p[got:])
		all = append(all, fs...)
		got += m
		if err != nil {
			t.Fatalf("ReadFiles after %d of %d bytes: %v", got, n, err)
		}
	}
	t.Cleanup(func() { closeFiles(all) })
	return string(p), all
}

func closeFiles(fs []*os.File) {
	for _, f := range fs {
		_ = f.Close()
	}
}

// filesGrouping: however large the buffer, one ReadFiles returns at most one
// group of files, with the bytes among which the group's first byte is, and
// none of the group after it. (A unix socket glues plain bytes that came
// before to the group's own, so that much is allowed.)
func filesGrouping(t *testing.T, near, far transport.Conn) {
	var fs []*os.File
	for _, text := range []string{"1a", "1b", "2a", "3a", "3b", "3c"} {
		fs = append(fs, scratch(t, text))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		send(t, near, "plain")
		sendFiles(t, near, "First", fs[:2]...)
		send(t, near, "between")
		sendFiles(t, near, "Second", fs[2])
		sendFiles(t, near, "Third", fs[3:]...)
		_ = near.CloseWrite()
	}()
	groups := map[byte]string{'F': "1a 1b ", 'S': "2a ", 'T': "3a 3b 3c "} // by the byte that carries them
	var got string
	for {
		p := make([]byte, 1000)
		n, fs, err := passer(t, far).ReadFiles(p)
		want, carried, text := "", 0, contents(t, fs)
		for _, c := range p[:n] {
			if group, ok := groups[c]; ok {
				want += group
				carried++
			}
		}
		if text != want {
			t.Errorf("with %q came the files %q, want %q", p[:n], text, want)
		}
		if carried > 1 {
			t.Errorf("one read returned %q: more than one group", p[:n])
		}
		got += string(p[:n])
		if err == io.EOF { //nolint:errorlint // the rule of io.Reader is io.EOF itself
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	<-done
	if want := "plainFirstbetweenSecondThird"; got != want {
		t.Errorf("received %q, want %q", got, want)
	}
}

// contents reads files from their start, closes them, and wants each to be
// closed on exec.
func contents(t testing.TB, fs []*os.File) string {
	t.Helper()
	s := ""
	for _, f := range fs {
		if !closedOnExec(t, f) {
			t.Errorf("a received file stays open over exec")
		}
		p, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
		if err != nil {
			t.Errorf("reading a received file: %v", err)
		}
		s += string(p) + " "
		_ = f.Close()
	}
	return s
}

func filesLimit(t *testing.T, near, far transport.Conn) {
	f := scratch(t, "one of many")
	fs := make([]*os.File, transport.MaxFiles+1)
	for i := range fs {
		fs[i] = f
	}
	if n, err := passer(t, near).WriteFiles([]byte("x"), fs); n != 0 || !errors.Is(err, fault.TooLarge) {
		t.Errorf("WriteFiles of %d files = %d, %v, want %v", len(fs), n, err, fault.TooLarge)
	}
	if n, err := passer(t, near).WriteFiles(nil, fs[:1]); n != 0 || !errors.Is(err, fault.Invalid) {
		t.Errorf("WriteFiles without bytes = %d, %v, want %v", n, err, fault.Invalid)
	}
	go sendFiles(t, near, "all", fs[:transport.MaxFiles]...)
	if s, got := receiveFiles(t, far, 3); s != "all" || len(got) != transport.MaxFiles {
		t.Errorf("received %q and %d files, want %d", s, len(got), transport.MaxFiles)
	}
	go sendFiles(t, near, "none")
	if s, got := receiveFiles(t, far, 4); s != "none" || len(got) != 0 {
		t.Errorf("received %q and %d files, want none", s, len(got))
	}
}

// filesPlainRead: Read closes the files it passes over, and those that follow
// are not shifted.
func filesPlainRead(t *testing.T, near, far transport.Conn) {
	before := takeInventory()
	f, g := scratch(t, "dropped"), scratch(t, "kept")
	sendFiles(t, near, "12345", f, f, f)
	receive(t, far, "12345")
	sendFiles(t, near, "678", g)
	s, got := receiveFiles(t, far, 3)
	if s != "678" || contents(t, got) != "kept " {
		t.Errorf("received %q with %d files", s, len(got))
	}
	_, _ = f.Close(), g.Close()
	before.compare(t)
}

// filesLoad passes many groups both ways at once, beyond what any buffer
// holds. The first byte of a group says how many files come with it.
func filesLoad(t *testing.T, b Backend) {
	const groups = 2000
	d, a := pair(t, b)
	f := scratch(t, "load")
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, c := range []transport.Conn{d, a} {
		wg.Go(func() {
			for i := range groups {
				p := make([]byte, 1+i%1500)
				p[0] = byte(1 + i%3)
				sendFiles(t, c, string(p), []*os.File{f, f, f}[:p[0]]...)
				if t.Failed() {
					_ = c.Close()
					return
				}
			}
			_ = c.CloseWrite()
		})
	}
	one, other := passer(t, d), passer(t, a)
	wg.Go(func() { countFiles(t, one, groups) })
	countFiles(t, other, groups)
}

func countFiles(t testing.TB, c transport.FilePasser, groups int) {
	p, seen := make([]byte, 2000), 0
	for {
		n, fs, err := c.ReadFiles(p)
		closeFiles(fs)
		want := 0
		for _, first := range p[:n] {
			want += int(first)
			if first != 0 {
				seen++
			}
		}
		if len(fs) != want {
			t.Errorf("with group %d came %d files, want %d", seen, len(fs), want)
			_ = c.Close()
			return
		}
		if err != nil {
			if seen != groups {
				t.Errorf("%d groups of %d came, %v", seen, groups, err)
			}
			return
		}
	}
}

// filesUnread: files that nobody read are closed with the connection.
func filesUnread(t *testing.T, b Backend) {
	t.Helper()
	d, a := pair(t, b)
	f := scratch(t, "unread")
	sendFiles(t, d, "x", f, f)
	sendFiles(t, a, "x", f)
	closeNow(t, d)
	closeNow(t, a)
	_ = f.Close()
}

// filesKinds passes what is not a plain file.
func filesKinds(t *testing.T, near, far transport.Conn) {
	for name, make := range kinds {
		ours, other, check := make(t)
		sendFiles(t, near, name, ours)
		_ = ours.Close()
		_, got := receiveFiles(t, far, len(name))
		if len(got) != 1 {
			t.Fatalf("%s: received %d files", name, len(got))
		}
		if err := check(got[0], other); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// through writes to one file and reads from the other.
func through(w, r *os.File) error {
	if _, err := w.WriteString("through"); err != nil {
		return err
	}
	p := make([]byte, 7)
	if _, err := io.ReadFull(r, p); err != nil || string(p) != "through" {
		return fmt.Errorf("read %q, %w", p, err)
	}
	return nil
}

// filesVerb answers each group of files with the text they hold and a file of
// its own.
func filesVerb(c transport.Conn) error {
	p, ok := c.(transport.FilePasser)
	if !ok {
		return errors.New("no FilePasser")
	}
	_, fs, err := p.ReadFiles(make([]byte, 5))
	if err != nil {
		return err
	}
	text := ""
	for _, f := range fs {
		s, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
		if err != nil {
			return err
		}
		text += string(s)
	}
	back, err := os.CreateTemp("", "transporttest")
	if err != nil {
		return err
	}
	defer closeFiles(append(fs, back))
	_ = os.Remove(back.Name()) // now: we are killed when the test ends
	if _, err := back.WriteString("seen " + text); err != nil {
		return err
	}
	if _, err := p.WriteFiles([]byte("reply"), []*os.File{back}); err != nil {
		return err
	}
	return hold(c)
}

func farFiles(t *testing.T, _ Backend, _ side, l *link) {
	sendFiles(t, l.near, "files", scratch(t, "one,"), scratch(t, "two"))
	s, fs := receiveFiles(t, l.near, 5)
	if got := contents(t, fs); s != "reply" || got != "seen one,two " {
		t.Errorf("answered %q with %q", s, got)
	}
}

// pass sends and receives files without end.
func pass(c transport.Conn) error {
	wrote := make(chan error, 1)
	go func() { wrote <- passOut(c) }()
	_, err := passIn(c, nil)
	_ = c.Close()
	return errors.Join(err, <-wrote)
}

func passOut(c transport.Conn) error {
	p, ok := c.(transport.FilePasser)
	if !ok {
		return errors.New("no FilePasser")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	for {
		if _, err := p.WriteFiles(make([]byte, 999), []*os.File{null, null}); err != nil {
			return err
		}
	}
}

func passIn(c transport.Conn, progress func(total uint64)) (uint64, error) {
	p, ok := c.(transport.FilePasser)
	if !ok {
		return 0, errors.New("no FilePasser")
	}
	buf, total := make([]byte, 4096), uint64(0)
	for {
		n, files, err := p.ReadFiles(buf)
		closeFiles(files)
		total += uint64(n)
		if progress != nil {
			progress(total)
		}
		if err != nil {
			return total, err
		}
	}
}
