// SPDX-License-Identifier: Apache-2.0

package fifo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	pipes "github.com/parley-ipc/parley/primitive/fifo"
	"github.com/parley-ipc/parley/transport"
)

var roles = map[string]proctest.Role{"leave": leave, "stuff": stuff}

const limit = 20 * time.Second

// serving listens in the test's directory and returns the pipes' stem.
func serving(t *testing.T, cfg transport.ListenConfig) (ln transport.Listener, stem string) {
	t.Helper()
	stem = filepath.Join(t.TempDir(), "f")
	ln, err := listen(t.Context(), "fifo://"+stem, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln, stem
}

func accept(t *testing.T, ln transport.Listener) transport.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := ln.AcceptConn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(limit))
	return c
}

func connect(t *testing.T, stem string) transport.Conn {
	t.Helper()
	c, err := dial(t.Context(), "fifo://"+stem, transport.DialConfig{HandshakeTimeout: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(limit))
	return c
}

func TestOnePeerAtATime(t *testing.T) {
	ln, stem := serving(t, transport.ListenConfig{})
	d := connect(t, stem)
	a := accept(t, ln)
	if _, err := dial(t.Context(), "fifo://"+stem, transport.DialConfig{}); !errors.Is(err, fault.InUse) {
		t.Fatalf("while a peer is connected: %v, want in use", err)
	}
	// The peer has gone, the listener's program has not noticed: nothing of the
	// second may reach the first's connection.
	_, _ = d.Write([]byte("first"))
	_ = d.Close()
	_, err := dial(t.Context(), "fifo://"+stem, transport.DialConfig{HandshakeTimeout: 20 * time.Millisecond})
	if !errors.Is(err, fault.InUse) {
		t.Fatalf("while the listener is busy with the dead: %v, want in use", err)
	}
	second := make(chan transport.Conn)
	go func() {
		c, err := dial(context.Background(), "fifo://"+stem, transport.DialConfig{HandshakeTimeout: limit})
		if err != nil {
			t.Errorf("the one who waits: %v", err)
		} else {
			_, _ = c.Write([]byte("second"))
		}
		second <- c
	}()
	if got, err := io.ReadAll(a); string(got) != "first" || err != nil {
		t.Errorf("the first connection read %q, %v", got, err)
	}
	_ = a.Close()
	b := accept(t, ln)
	if c := <-second; c != nil {
		_ = c.Close()
	}
	if got, err := io.ReadAll(b); string(got) != "second" || err != nil {
		t.Errorf("the second connection read %q, %v", got, err)
	}
}

// stuff fills the listener's pipe and waits to be killed.
func stuff(p *proctest.Self) error {
	c, err := dial(context.Background(), p.Args[0], transport.DialConfig{})
	if err != nil {
		return err
	}
	_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	_, _ = c.Write(make([]byte, 1<<20))
	p.Say("stuffed")
	select {}
}

func TestAKilledPeersBytesStayItsOwn(t *testing.T) {
	ln, stem := serving(t, transport.ListenConfig{})
	p := proctest.Start(t, "stuff", "fifo://"+stem)
	a := accept(t, ln)
	p.Expect("stuffed")
	p.Kill()
	_ = a.Close() // unread
	d := connect(t, stem)
	if _, err := io.WriteString(d, "mine"); err != nil {
		t.Fatal(err)
	}
	_ = d.CloseWrite()
	if got, err := io.ReadAll(accept(t, ln)); string(got) != "mine" || err != nil {
		t.Errorf("read %q, %v", got[:min(len(got), 20)], err)
	}
}

// leave listens and is killed with a peer that has not been accepted.
func leave(p *proctest.Self) error {
	if _, err := listen(context.Background(), p.Args[0], transport.ListenConfig{}); err != nil {
		return err
	}
	p.Say("listening")
	select {}
}

func TestAKilledListenerLeavesNothingInTheWay(t *testing.T) {
	stem := filepath.Join(t.TempDir(), "f")
	p := proctest.Start(t, "leave", "fifo://"+stem)
	p.Expect("listening")
	if _, err := listen(t.Context(), "fifo://"+stem, transport.ListenConfig{}); !errors.Is(err, fault.InUse) {
		t.Errorf("beside a living listener: %v", err)
	}
	d := connect(t, stem)
	p.Kill()
	if _, err := d.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read: %v, want EOF", err)
	}
	if _, err := d.Write([]byte("x")); !errors.Is(err, fault.PeerDied) {
		t.Errorf("Write: %v, want peer died", err)
	}
	_ = d.Close()
	for range 2 { // a spent pair, then the same again
		if _, err := dial(t.Context(), "fifo://"+stem, transport.DialConfig{HandshakeTimeout: limit}); !errors.Is(err, fault.Unavailable) {
			t.Errorf("dialling what is left over: %v, want unavailable", err)
		}
	}
	if err := os.WriteFile(stem+".c2s.new", nil, 0o600); err != nil { // as if killed while publishing
		t.Fatal(err)
	}
	ln, err := listen(t.Context(), "fifo://"+stem, transport.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = connect(t, stem), accept(t, ln)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(stem + ".*"); len(left) != 0 {
		t.Errorf("Close left %q", left)
	}
}

func TestAShellIsAPeer(t *testing.T) {
	ln, stem := serving(t, transport.ListenConfig{})
	out, err := os.OpenFile(stem+".s2c", os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	in, err := os.OpenFile(stem+".c2s", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	a := accept(t, ln)
	_, _ = io.WriteString(in, "question")
	_ = in.Close()
	if got, err := io.ReadAll(a); string(got) != "question" || err != nil {
		t.Fatalf("read %q, %v", got, err)
	}
	_, _ = io.WriteString(a, "answer")
	_ = a.Close()
	_ = out.SetReadDeadline(time.Now().Add(limit))
	if got, err := io.ReadAll(out); string(got) != "answer" || err != nil {
		t.Errorf("the shell read %q, %v", got, err)
	}
}

// A peer that opens one pipe and goes, or stays and does no more, does not
// keep the next from coming.
func TestHalfAPeer(t *testing.T) {
	ln, stem := serving(t, transport.ListenConfig{HandshakeTimeout: 50 * time.Millisecond})
	for _, stays := range []bool{false, true} {
		seen := spentWatch(t, stem)
		in, err := os.OpenFile(stem+".c2s", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(in, "nobody's")
		if stays {
			defer func() { _ = in.Close() }()
		} else {
			_ = in.Close()
		}
		seen() // until then a dialler could still be taken for the other half
		d := connect(t, stem)
		_, _ = io.WriteString(d, "hello")
		_ = d.CloseWrite()
		a := accept(t, ln)
		if got, err := io.ReadAll(a); string(got) != "hello" || err != nil {
			t.Errorf("stays %v: read %q, %v", stays, got, err)
		}
		_, _ = d.Close(), a.Close()
	}
}

// spentWatch returns a wait for the listener to have seen a peer.
func spentWatch(t *testing.T, stem string) (wait func()) {
	t.Helper()
	f, err := pipes.Find(stem + ".s2c")
	if err != nil {
		t.Fatal(err)
	}
	w, err := pipes.NewWatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = w.Close(), f.Close() })
	if err := w.Add(f, pipes.Changed); err != nil {
		t.Fatal(err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if err := w.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusesWhatIsNotItsOwn(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.WriteFile(at("file.c2s"), []byte("precious"), 0o600), os.WriteFile(at("file.s2c"), nil, 0o600),
		os.Symlink(at("file.c2s"), at("link.c2s")), os.Symlink(at("file.s2c"), at("link.s2c")),
		syscall.Mkfifo(at("open.c2s"), 0o600), syscall.Mkfifo(at("open.s2c"), 0o600), os.Chmod(at("open.c2s"), 0o622),
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "link"} {
		if ln, err := listen(t.Context(), "fifo://"+at(name), transport.ListenConfig{}); err == nil {
			_ = ln.Close()
			t.Errorf("listened on a %s", name)
		}
	}
	if got, _ := os.ReadFile(at("file.c2s")); string(got) != "precious" {
		t.Errorf("the file now holds %q", got)
	}
	for name, kind := range map[string]fault.Kind{"file": fault.Invalid, "link": fault.Invalid, "open": fault.Denied, "none": fault.Unavailable} {
		if _, err := dial(t.Context(), "fifo://"+at(name), transport.DialConfig{}); !errors.Is(err, kind) {
			t.Errorf("dialled %s: %v, want %v", name, err, kind)
		}
	}
	if os.Geteuid() != 0 {
		return // the rest needs root to make another user
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755), //nolint:gosec // for the other user
		syscall.Mkfifo(at("other.c2s"), 0o600), syscall.Mkfifo(at("other.s2c"), 0o600)); err != nil {
		t.Fatal(err)
	}
	uid := uint32(54321)
	p := proctest.StartWith(t, proctest.Options{Role: "transporttest.fifo.dial", Args: []string{"fifo://" + at("other"), "hold"}, UID: &uid})
	if err := p.Wait(); err == nil {
		t.Error("another user dialled our fifo")
	}
}

func TestDeniedByPolicyWithALastWord(t *testing.T) {
	ln, stem := serving(t, transport.ListenConfig{
		Authorizer: denyAll{}, Refuse: func(c transport.Conn) { _, _ = fmt.Fprint(c, "denied") },
	})
	for range 2 {
		if got, err := io.ReadAll(connect(t, stem)); string(got) != "denied" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if c, err := ln.AcceptConn(ctx); err == nil {
		t.Errorf("accepted %v", c)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	_, stem := serving(t, transport.ListenConfig{Authorizer: slow{}, HandshakeTimeout: limit})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := dial(ctx, "fifo://"+stem, transport.DialConfig{}); !errors.Is(err, fault.Timeout) || !strings.Contains(err.Error(), stem) {
		t.Errorf("Dial: %v, want timed out", err)
	}
}
