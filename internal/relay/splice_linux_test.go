// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-ipc/parley/transport"
)

// untouched fails who would copy: but for the bytes that fifo has read ahead,
// nothing may go through Read or Write.
type untouched struct {
	transport.Splicer
	t *testing.T
}

func (u untouched) Read(p []byte) (int, error) {
	if _, _, ok := u.ReadRaw(); ok {
		u.t.Error("bytes were copied")
	}
	return u.Splicer.Read(p)
}

// unwritten also fails who would write what could be spliced.
type unwritten struct{ untouched }

func (u unwritten) Write(p []byte) (int, error) {
	u.t.Error("bytes were copied to be sent")
	return u.untouched.Write(p)
}

// TestKernelMovesBetweenDescriptors: the relay touches no byte.
func TestKernelMovesBetweenDescriptors(t *testing.T) {
	for _, pair := range [][2]string{{"fifo", "fifo"}, {"fifo", "tcp"}, {"fifo", "unix"}, {"tcp", "fifo"}, {"tcp", "unix"}} {
		t.Run(pair[0]+" "+pair[1], func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			a, ra := connect(ctx, t, pair[0])
			b, rb := connect(ctx, t, pair[1])
			p := pump{side{"a", untouched{ra.(transport.Splicer), t}}, side{"b", untouched{rb.(transport.Splicer), t}}}
			type outcome struct {
				done bool
				err  error
			}
			ended := make(chan outcome, 1)
			go func() {
				done, err := p.spliced()
				_ = rb.CloseWrite()
				ended <- outcome{done, err}
			}()
			there(t, a, b)
			if o := <-ended; !o.done || o.err != nil {
				t.Errorf("spliced to its end: %v, %v", o.done, o.err)
			}
		})
	}
}

// TestStdioSplicesPipes: what comes from one pipe goes into another.
func TestStdioSplicesPipes(t *testing.T) {
	for _, scheme := range []string{"tcp", "unix", "fifo"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		ours, theirs := connect(ctx, t, scheme)
		in, typed, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		printed, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 300<<10)
		_, _ = rand.Read(want)
		go func() {
			_, _ = typed.Write(want)
			_ = typed.Close()
		}()
		go func() { // an echo
			_, _ = io.Copy(struct{ io.Writer }{theirs}, struct{ io.Reader }{theirs})
			_ = theirs.CloseWrite()
		}()
		done := make(chan error, 1)
		go func() {
			err := Stdio(ctx, unwritten{untouched{ours.(transport.Splicer), t}}, in, out)
			_ = out.Close()
			done <- err
		}()
		got, err := io.ReadAll(printed)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, %v", scheme, len(got), len(want), err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
		_, _ = in.Close(), printed.Close()
	}
}

// TestStdioSplicesFiles: from where they stand, to their end.
func TestStdioSplicesFiles(t *testing.T) {
	const skipped = 5
	content := make([]byte, 300<<10)
	_, _ = rand.Read(content)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"tcp", "unix", "fifo"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		ours, theirs := connect(ctx, t, scheme)
		in, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Seek(skipped, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		printed, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = theirs.CloseWrite()
		done := make(chan error, 1)
		go func() { done <- Stdio(ctx, unwritten{untouched{ours.(transport.Splicer), t}}, in, out) }()
		got, err := io.ReadAll(theirs)
		if err != nil || !bytes.Equal(got, content[skipped:]) {
			t.Errorf("%s: %d bytes of %d, %v", scheme, len(got), len(content)-skipped, err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
		_, _, _, _ = in.Close(), theirs.Close(), printed.Close(), out.Close()
	}
}

// TestSplicedOutputThatBreaks is told of the output.
func TestSplicedOutputThatBreaks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ours, theirs := connect(ctx, t, "tcp")
	printed, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = printed.Close()
	defer func() { _ = out.Close() }()
	if _, err := theirs.Write([]byte("to nobody")); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = theirs.Write([]byte("again")) }()
	if err := Stdio(ctx, ours, bytes.NewReader(nil), out); err == nil {
		t.Error("no error")
	} else {
		t.Log(err)
	}
}
