// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/broadcast"
	"github.com/parley-ipc/parley/primitive/fdpass"
	"github.com/parley-ipc/parley/topic"
)

// TestLayout pins what docs/formats/topic.md says of offsets and sizes.
func TestLayout(t *testing.T) {
	ne := binary.NativeEndian
	h := hello{topic.Reliable, 7 * time.Second, "screen"}.encode()
	if len(h) != 96 || ne.Uint64(h) != 0x315459454c524150 || ne.Uint32(h[8:]) != 1 || ne.Uint32(h[12:]) != 2 ||
		ne.Uint64(h[16:]) != 7e9 || h[24] != 6 || string(h[25:31]) != "screen" || !bytes.Equal(h[31:], make([]byte, 65)) {
		t.Errorf("hello is %x", h)
	}
	a := answer{fault.Denied, 1 << 20, time.Second}.encode()
	if len(a) != 32 || ne.Uint64(a) != magic || ne.Uint32(a[8:]) != 1 || ne.Uint32(a[12:]) != 2 || ne.Uint64(a[16:]) != 1<<20 || ne.Uint64(a[24:]) != 1e9 {
		t.Errorf("answer is %x", a)
	}
	hd, err := topic.NewHeaders("k", "v")
	if err != nil {
		t.Fatal(err)
	}
	r := appendHead(nil, "abc", hd)
	if want := "\x03\x00\x00\x00\x06\x00\x00\x00abc\x01\x00\x01\x00kv\x00\x00\x00\x00\x00\x00\x00"; ne.Uint16([]byte{1, 0}) == 1 && string(r) != want {
		t.Errorf("a record begins with %q, want %q", r, want)
	}
}

func FuzzHello(f *testing.F) {
	f.Add(hello{topic.Lossy, 0, "x"}.encode())
	f.Add(make([]byte, helloSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != helloSize {
			return
		}
		h, err := decodeHello(b)
		if err == nil && (h.policy > topic.Reliable || h.patience < 0 || len(h.name) > 4*topic.MaxName) {
			t.Errorf("%+v", h)
		}
		_, _ = decodeAnswer(b[:answerSize])
	})
}

// FuzzRecord: whatever a record holds, its parts lie within it, and the
// subject of its first bytes is the same.
func FuzzRecord(f *testing.F) {
	hd, err := topic.NewHeaders("key", "value")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(appendHead(nil, "a.b", hd), "data"...))
	f.Add([]byte{255, 0, 0, 0, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := cutRecord(b)
		if err != nil {
			if !errors.Is(err, fault.Protocol) {
				t.Error(err)
			}
			return
		}
		if n := dataOffset(len(r.subject), len(r.headers)) + len(r.data); n != len(b) {
			t.Errorf("its parts have %d of %d bytes", n, len(b))
		}
		if s, ok := subjectOf(b[:min(len(b), broadcast.MatchHead)]); !ok || !bytes.Equal(s, r.subject) {
			t.Errorf("the subject is %q or %q", s, r.subject)
		}
	})
}

// publishing is a publisher whose socket anybody may knock at.
func publishing(t *testing.T) (topic.Admin, *Engine, string) {
	t.Helper()
	dir := runtimeDir(t)
	e := open(t, "mem://desk", Config{})
	t.Cleanup(func() { _ = e.Close() })
	p, err := e.Topic("n").Publisher(t.Context(), topic.PublisherConfig{MaxData: 4 << 10, Ring: 64 << 10, MaxSubscribers: 4})
	if err != nil {
		t.Fatal(err)
	}
	return p.(topic.Admin), e, filepath.Join(dir, "desk@topic@n.sock")
}

func knock(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(roleTime)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestHostileSubscribers: each is refused or spoils its own attachment only;
// afterwards everybody else is served.
func TestHostileSubscribers(t *testing.T) {
	p, e, path := publishing(t)
	good := hello{topic.Lossy, 0, "x"}.encode()
	broken := func(at int, c byte) []byte {
		b := bytes.Clone(good)
		b[at] = c
		return b
	}
	zero, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = zero.Close() }()
	unsealed, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	page := os.NewFile(uintptr(unsealed), "unsealed")
	defer func() { _ = page.Close() }()
	if err := page.Truncate(int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		hello []byte
		files []*os.File
		then  []byte // after the answer
		pages []*os.File
		want  fault.Kind
	}{
		"nonsense":          {hello: bytes.Repeat([]byte("x"), helloSize), want: fault.Protocol},
		"another version":   {hello: broken(8, 9), want: fault.Unsupported},
		"no policy":         {hello: broken(12, 9), want: fault.Protocol},
		"negative patience": {hello: broken(23, 0x80), want: fault.Protocol},
		"a name too long":   {hello: broken(24, 64), want: fault.Protocol},
		"a file with hello": {hello: good, files: []*os.File{zero}, want: fault.Protocol},
		"no page":           {hello: good, then: make([]byte, 8), want: fault.Protocol},
		"two pages":         {hello: good, then: make([]byte, 8), pages: []*os.File{page, page}, want: fault.Protocol},
		"a device":          {hello: good, then: make([]byte, 8), pages: []*os.File{zero}, want: fault.Protocol},
		"an unsealed page":  {hello: good, then: make([]byte, 8), pages: []*os.File{page}, want: fault.Protocol},
		"half a hello":      {hello: good[:40]},
		"gone after hello":  {hello: good},
		"nothing":           {},
	} {
		sock := knock(t, path)
		if _, err := fdpass.Write(sock, c.hello, c.files); err != nil && len(c.hello) > 0 {
			t.Errorf("%s: %v", name, err)
		}
		if c.then != nil {
			if err := readAnswer(sock); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := fdpass.Write(sock, c.then, c.pages); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if c.want != 0 {
			if err := readAnswer(sock); !errors.Is(err, c.want) {
				t.Errorf("%s: answered %v, want %v", name, err, c.want)
			}
		}
		_ = sock.Close()
	}
	if st := p.Stats(); st.Attached != 0 {
		t.Errorf("somebody got in: %+v", st)
	}
	served(t, p, e)
}

// readAnswer reads an answer and what is wrong with it.
func readAnswer(sock *net.UnixConn) error {
	var b [answerSize]byte
	for n := 0; n < len(b); {
		m, files, err := fdpass.Read(sock, b[n:])
		closeFiles(files)
		if err != nil {
			return err
		}
		n += m
	}
	a, err := decodeAnswer(b[:])
	if err == nil && a.status != 0 {
		return a.status
	}
	return err
}

// served wants an item to reach a new subscriber.
func served(t *testing.T, p topic.Publisher, e *Engine) {
	t.Helper()
	s, err := e.Topic("n").Subscribe(t.Context(), topic.SubscribeConfig{Policy: topic.Reliable})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := p.Publish(t.Context(), topic.Message{Subject: "a", Data: []byte("served")}); err != nil {
		t.Fatal(err)
	}
	if it, err := s.Next(t.Context()); err != nil || string(it.Data) != "served" || it.Lost != 0 {
		t.Errorf("%q, %v", it.Data, err)
	}
}

// TestFloodingSubscriber: one that is attached and only ever writes to the
// socket costs the publisher reads, and nobody an item.
func TestFloodingSubscriber(t *testing.T) {
	p, e, path := publishing(t)
	sock := knock(t, path)
	if _, err := sock.Write(hello{topic.Lossy, 0, "flood"}.encode()); err != nil {
		t.Fatal(err)
	}
	a, err := attachBy(sock)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	for range 100 {
		if _, err := sock.Write(bytes.Repeat([]byte{1, 2, 0, 255}, 1024)); err != nil {
			t.Fatal(err)
		}
	}
	served(t, p, e)
	if subs := p.Subscribers(); len(subs) == 0 || subs[0].Name != "flood" {
		t.Errorf("the subscribers are %+v", subs)
	}
}

// attachBy goes through the rest of a handshake by hand.
func attachBy(sock *net.UnixConn) (*broadcast.Subscriber, error) {
	var b [answerSize]byte
	files, err := receiveWith(sock, b[:], 1)
	if err != nil {
		return nil, err
	}
	ans, err := decodeAnswer(b[:])
	if err != nil {
		return nil, err
	}
	fd, err := takeFD(files[0])
	if err != nil {
		return nil, err
	}
	s, err := broadcast.Subscribe(fd, int(ans.ring), broadcast.SubscribeConfig{})
	if err != nil {
		return nil, err
	}
	var m [8]byte
	putMagic(m[:])
	if err := sendFD(sock, m[:], s.Control().FD()); err != nil {
		return nil, err
	}
	return s, readAnswer(sock)
}

// TestHostilePublishers: whoever listens in a publisher's place and lies makes
// an error, or is tried again.
func TestHostilePublishers(t *testing.T) {
	good := answer{ring: 64 << 10}.encode()
	other := bytes.Clone(good)
	other[8] = 2
	for name, c := range map[string]struct {
		answer []byte
		want   fault.Kind // 0: it is tried again, for ever
	}{
		"hangs up":        {},
		"half an answer":  {answer: good[:20]},
		"nonsense":        {answer: bytes.Repeat([]byte("y"), answerSize), want: fault.Protocol},
		"another version": {answer: other, want: fault.Unsupported},
		"no segment":      {answer: good, want: fault.Protocol},
		"denied":          {answer: answer{status: fault.Denied}.encode(), want: fault.Denied},
		"unknown status":  {answer: answer{status: 200}.encode(), want: fault.Protocol},
		"closing":         {answer: answer{status: fault.Closed}.encode()},
	} {
		t.Run(name, func(t *testing.T) {
			dir := runtimeDir(t)
			ln, err := net.Listen("unix", filepath.Join(dir, "desk@topic@n.sock"))
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				answerAll(ln, c.answer)
			}()
			defer func() { _ = ln.Close(); <-served }()
			e := open(t, "mem://desk", Config{})
			defer func() { _ = e.Close() }()
			s, err := e.Topic("n").Subscribe(t.Context(), topic.SubscribeConfig{})
			if c.want != 0 {
				if !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			if _, err := s.Next(ctx); !errors.Is(err, fault.Timeout) {
				t.Errorf("%v", err)
			}
		})
	}
}

// answerAll says the same to everybody, and hangs up.
func answerAll(ln net.Listener, answer []byte) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = io.ReadFull(c, make([]byte, helloSize))
		_, _ = c.Write(answer)
		_ = c.Close()
	}
}

// TestRecordsThatAreNone: a publisher whose ring is in order and whose records
// are no items is a protocol error, for ever.
func TestRecordsThatAreNone(t *testing.T) {
	for name, bad := range map[string][]byte{
		"short":           []byte("1234567"),
		"a long subject":  {200, 0, 0, 0, 0, 0, 0, 0, 'x'},
		"endless headers": {0, 0, 0, 0, 255, 255, 255, 255, 'x'},
	} {
		t.Run(name, func(t *testing.T) {
			p, e, _ := publishing(t)
			s, err := e.Topic("n").Subscribe(t.Context(), topic.SubscribeConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if err := p.Publish(t.Context(), topic.Message{Subject: "a", Data: []byte("good")}); err != nil {
				t.Fatal(err)
			}
			if err := p.(*publisher).ring.Publish(t.Context(), bad); err != nil {
				t.Fatal(err)
			}
			if it, err := s.Next(t.Context()); err != nil || string(it.Data) != "good" {
				t.Errorf("%q, %v", it.Data, err)
			}
			for range 2 {
				if _, err := s.Next(t.Context()); !errors.Is(err, fault.Protocol) {
					t.Errorf("%v, want a protocol error", err)
				}
			}
		})
	}
}
