// SPDX-License-Identifier: Apache-2.0

package message

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// passing fakes a transport.FilePasser in memory: a script of reads, each with
// its files; writes are recorded in the same form.
type passing struct {
	devNull
	script, sent []part
}

type part struct {
	p     []byte
	files []*os.File
}

var _ transport.FilePasser = (*passing)(nil)

func (c *passing) Write(p []byte) (int, error) { return c.WriteFiles(p, nil) }

func (c *passing) WriteFiles(p []byte, files []*os.File) (int, error) {
	c.sent = append(c.sent, part{append([]byte(nil), p...), files})
	return len(p), nil
}

// ReadFiles stops before the next group, like the contract says.
func (c *passing) ReadFiles(p []byte) (n int, files []*os.File, err error) {
	if len(c.script) == 0 {
		return 0, nil, io.EOF
	}
	s := &c.script[0]
	n = copy(p, s.p)
	files, s.files = s.files, nil
	if s.p = s.p[n:]; len(s.p) == 0 {
		c.script = c.script[1:]
	}
	return n, files, nil
}

func open(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func isOpen(f *os.File) bool {
	_, err := f.Stat()
	return err == nil
}

func TestFilesStayWithTheirMessage(t *testing.T) {
	c := &passing{}
	a := NewConn(c, Config{})
	one, two, three := open(t, "1"), open(t, "2"), open(t, "3")
	ctx := t.Context()
	for _, s := range []struct {
		p     string
		files []*os.File
	}{{"none", nil}, {"one", []*os.File{one}}, {"", nil}, {string(make([]byte, 200<<10)), []*os.File{two, three}}, {"end", nil}} {
		if err := a.SendFiles(ctx, []byte(s.p), s.files); err != nil {
			t.Fatal(err)
		}
	}
	b := NewConn(&passing{script: c.sent}, Config{})
	for _, want := range []int{0, 1, 0, 2, 0} {
		m, err := b.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		files := m.Files()
		if len(files) != want || m.Files() != nil {
			t.Fatalf("%d files with %.10q, want %d, and none the second time", len(files), m.Bytes(), want)
		}
		m.Release()
		for _, f := range files {
			if !isOpen(f) {
				t.Fatal("Release closed a file that was claimed")
			}
		}
	}
	_, _ = a.Close(), b.Close()
}

func TestReleaseClosesUnclaimedFiles(t *testing.T) {
	c := &passing{}
	a := NewConn(c, Config{})
	f := open(t, "f")
	if err := a.SendFiles(t.Context(), nil, []*os.File{f}); err != nil {
		t.Fatal(err)
	}
	b := NewConn(&passing{script: c.sent}, Config{})
	m, err := b.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.Release()
	if isOpen(f) {
		t.Fatal("still open")
	}
	_, _ = a.Close(), b.Close()
}

func TestUnexpectedFilesAreClosed(t *testing.T) {
	for name, in := range map[string][]byte{
		"unannounced":     appendHeader(appendHeader(appendPreface(nil), header{kind: kindMessage}), header{kind: kindMessage}),
		"in the middle":   append(appendHeader(appendPreface(nil), header{length: 9, kind: kindMessage}), 'x'),
		"on the preface":  appendPreface(nil),
		"without header":  appendPreface(nil)[:3],
		"with a goodbye":  appendGoodbye(appendPreface(nil), goodbye{}),
		"wrong preface":   []byte("GET / HTTP/1.1"),
		"announces fewer": appendHeader(appendPreface(nil), header{kind: kindMessage, files: 1}),
	} {
		t.Run(name, func(t *testing.T) {
			f, g := open(t, "f"), open(t, "g")
			b := NewConn(&passing{script: []part{{in, []*os.File{f, g}}}}, Config{})
			var err error
			for err == nil {
				var m *Message
				if m, err = b.Receive(t.Context()); err == nil {
					m.Release()
				}
			}
			_ = b.Close()
			if isOpen(g) || isOpen(f) {
				t.Fatalf("still open after %v", err)
			}
		})
	}
}

func TestNoFilesWanted(t *testing.T) {
	b := NewConn(&passing{script: []part{{appendHeader(appendPreface(nil), header{kind: kindMessage, files: 1}), nil}}}, Config{MaxFiles: -1})
	_, err := b.Receive(t.Context())
	if err == nil {
		t.Fatal("a message with files passed")
	}
	_ = b.Close()
}

// refusing passes no files, and says so only when it is asked to.
type refusing struct{ passing }

func (c *refusing) WriteFiles(p []byte, files []*os.File) (int, error) {
	if len(files) > 0 {
		return 0, fault.New(fault.Unsupported, "write files", "", nil)
	}
	return c.passing.WriteFiles(p, nil)
}

func (c *refusing) Write(p []byte) (int, error) { return c.WriteFiles(p, nil) }

// TestUnsupportedFilesSpoilNothing: the connection goes on without files.
func TestUnsupportedFilesSpoilNothing(t *testing.T) {
	c := &refusing{}
	a := NewConn(c, Config{})
	for range 2 {
		wantErr(t, a.SendFiles(t.Context(), []byte("x"), []*os.File{open(t, "f")}), fault.Unsupported)
		send(t, a, "still fine")
	}
	b := NewConn(&passing{script: c.sent}, Config{})
	wantReceive(t, b, "still fine")
	wantReceive(t, b, "still fine")
	_, _ = a.Close(), b.Close()
}

func TestSendFilesNeedsAFilePasser(t *testing.T) {
	a, b := pair(t, Config{})
	f := open(t, "f")
	wantErr(t, a.SendFiles(t.Context(), nil, []*os.File{f}), fault.Unsupported)
	many := make([]*os.File, transport.MaxFiles+1)
	wantErr(t, NewConn(&passing{}, Config{}).SendFiles(t.Context(), nil, many), fault.TooLarge)
	send(t, a, "still fine")
	wantReceive(t, b, "still fine")
}
