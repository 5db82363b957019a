// SPDX-License-Identifier: Apache-2.0

package fifo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/fifo"
)

func mk(t *testing.T) *fifo.FIFO {
	t.Helper()
	f, err := fifo.Make(filepath.Join(t.TempDir(), "f"), 0o622)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func opened(t *testing.T, f *os.File, err error) *os.File {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestMake(t *testing.T) {
	f := mk(t)
	if mode, named, err := f.Mode(); mode != 0o622 || !named || err != nil {
		t.Errorf("mode %v, named %v, %v", mode, named, err)
	}
	if uid, gid := f.Owner(); int(uid) != os.Geteuid() || int(gid) != os.Getegid() {
		t.Errorf("owner %d:%d", uid, gid)
	}
	if _, err := fifo.Make(f.Path(), 0o600); !errors.Is(err, fault.InUse) {
		t.Errorf("made twice: %v", err)
	}
	if err := f.SetMode(0o600 | fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Path()); err != nil {
		t.Fatal(err)
	}
	if mode, named, err := f.Mode(); mode != 0o600|fs.ModeSticky || named || err != nil {
		t.Errorf("after its removal: mode %v, named %v, %v", mode, named, err)
	}
}

func TestFindRefusesWhatIsNoFIFO(t *testing.T) {
	f := mk(t)
	link := f.Path() + ".link"
	if err := os.Symlink(f.Path(), link); err != nil {
		t.Fatal(err)
	}
	for path, kind := range map[string]fault.Kind{link: fault.Invalid, filepath.Dir(link): fault.Invalid, link + "no": fault.NotFound} {
		if _, err := fifo.Find(path); !errors.Is(err, kind) {
			t.Errorf("Find(%s): %v, want %v", path, err, kind)
		}
	}
}

func TestCameAndGone(t *testing.T) {
	f := mk(t)
	if _, err := f.Writer(); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("a writer without a reader: %v", err)
	}
	r, err := f.Reader()
	r = opened(t, r, err)
	look := func(when string, came bool, first string, gone bool) {
		t.Helper()
		c, b, err := fifo.Came(r)
		if c != came || string(b) != first || err != nil || fifo.Gone(r) != gone {
			t.Errorf("%s: came %v, first %q, gone %v, %v", when, c, b, fifo.Gone(r), err)
		}
	}
	look("before", false, "", false)
	w, err := f.Writer()
	w = opened(t, w, err)
	look("silent writer", true, "", false)
	if _, err := w.WriteString("ab"); err != nil {
		t.Fatal(err)
	}
	for _, end := range []*os.File{r, w} {
		if n, err := fifo.Buffered(end); n != 2 || err != nil {
			t.Errorf("%d bytes buffered, %v, want 2", n, err)
		}
	}
	look("with bytes", true, "", false) // poll tells, nothing is taken
	_ = w.Close()
	look("writer gone", true, "", true)
	if got, err := io.ReadAll(r); string(got) != "ab" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	look("drained", true, "", true)
}

func TestDeadlineAndReaderGone(t *testing.T) {
	f := mk(t)
	r, err := f.Reader()
	r = opened(t, r, err)
	w, err := f.Writer()
	w = opened(t, w, err)
	_ = r.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}
	if fifo.Gone(w) {
		t.Error("the reader is there")
	}
	_ = r.Close()
	if !fifo.Gone(w) {
		t.Error("the reader is gone")
	}
}

func TestLock(t *testing.T) {
	f := mk(t)
	a, err := f.Reader()
	a = opened(t, a, err)
	b, err := f.Reader()
	b = opened(t, b, err)
	if got, err := fifo.Lock(a); !got || err != nil {
		t.Fatal(got, err)
	}
	if got, err := fifo.Lock(b); got || err != nil {
		t.Fatal("locked twice", err)
	}
	_ = a.Close()
	if got, err := fifo.Lock(b); !got || err != nil {
		t.Fatal(got, err)
	}
}

func TestHold(t *testing.T) {
	f := mk(t)
	r, err := f.Reader()
	opened(t, r, err)
	a, err := f.Writer()
	a = opened(t, a, err)
	b, err := f.Writer()
	b = opened(t, b, err)
	if got, err := fifo.Held(b); got || err != nil {
		t.Fatal(got, err)
	}
	if got, err := fifo.Hold(a); !got || err != nil {
		t.Fatal(got, err)
	}
	if got, err := fifo.Held(b); !got || err != nil {
		t.Fatal(got, err)
	}
	if got, err := fifo.Hold(b); got || err != nil {
		t.Fatal(got, err)
	}
	_ = a.Close()
	if got, err := fifo.Held(b); got || err != nil {
		t.Fatal(got, err)
	}
}

func TestCapacity(t *testing.T) {
	f := mk(t)
	r, err := f.Reader()
	r = opened(t, r, err)
	if n, err := fifo.SetCapacity(r, 10000); n < 10000 || err != nil {
		t.Errorf("set %d, %v", n, err)
	}
	if n, err := fifo.Capacity(r); n < 10000 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestWatch(t *testing.T) {
	f := mk(t)
	w, err := fifo.NewWatch()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(f, fifo.Opened|fifo.Changed); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := w.Wait(ctx); !errors.Is(err, fault.Timeout) {
		t.Errorf("nothing happened: %v", err)
	}
	r, err := f.Reader()
	opened(t, r, err)
	if err := w.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if err := os.Remove(f.Path()); err != nil {
		t.Fatal(err)
	}
	if err := w.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	ended := make(chan error)
	go func() { ended <- w.Wait(context.Background()) }()
	_ = w.Close()
	if err := <-ended; !errors.Is(err, fault.Closed) {
		t.Errorf("Wait after Close: %v", err)
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "fifo")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	f, err := fifo.Make(filepath.Join(dir, "pipe"), 0o600)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = f.Close() }()
	_, err = f.Writer()
	fmt.Println(errors.Is(err, fault.Unavailable))
	r, _ := f.Reader()
	w, _ := f.Writer()
	_, _ = w.WriteString("through the pipe")
	_ = w.Close()
	b, _ := io.ReadAll(r)
	fmt.Println(string(b), r.Close())
	// Output:
	// true
	// through the pipe <nil>
}
