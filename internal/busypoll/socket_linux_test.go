// SPDX-License-Identifier: Apache-2.0

package busypoll

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/internal/wake"
)

// pair is a socket, and the other end of it.
func pair(t *testing.T) (ours, theirs *net.UnixConn) {
	t.Helper()
	ours, file, err := unixconn.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	c, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	t.Cleanup(func() { _ = c.Close() })
	return ours, c.(*net.UnixConn)
}

// sleeps says whether a read would sleep now.
func sleeps(s *Socket) bool {
	sleep := s.Await()
	defer sleep.End()
	return sleep.p != nil
}

func say(t *testing.T, c net.Conn, what string) {
	t.Helper()
	if _, err := io.WriteString(c, what); err != nil {
		t.Fatal(err)
	}
}

func TestSeesWhatWaits(t *testing.T) {
	ours, theirs := pair(t)
	var s Socket
	s.Set(ours, wake.Always)
	if !sleeps(&s) {
		t.Error("saw bytes that nobody sent")
	}
	say(t, theirs, "hello")
	if sleeps(&s) {
		t.Error("did not see what had come")
	}
	b := make([]byte, 16)
	if n, err := s.Read(ours, b); err != nil || string(b[:n]) != "hello" {
		t.Errorf("read %q, %v", b[:n], err)
	}
}

func TestSeesWhatComesMeanwhile(t *testing.T) {
	ours, theirs := pair(t)
	var s Socket
	s.Set(ours, wake.Always)
	b := make([]byte, 1)
	for range 1000 {
		said := make(chan error, 1)
		go func() {
			_, err := theirs.Write([]byte("x"))
			said <- err
		}()
		if n, err := s.Read(ours, b); n != 1 || err != nil {
			t.Fatal(n, err, <-said)
		}
	}
}

func TestPollsOnlyIfAsked(t *testing.T) {
	ours, theirs := pair(t)
	say(t, theirs, "hello")
	var s Socket
	if s.Await(); s.state.Load() != nil {
		t.Error("polls by itself")
	}
	s.Set(ours, wake.Off)
	s.Set(ours, wake.Always)
	if s.state.Load() != nil {
		t.Error("polls although that was switched off for good")
	}
}

// Of two readers one polls; the other goes to sleep at once, and is no worse
// for it.
func TestOneReaderPolls(t *testing.T) {
	ours, _ := pair(t)
	var s Socket
	s.Set(ours, wake.Always)
	first := s.Await()
	if first.p == nil {
		t.Fatal("saw bytes that nobody sent")
	}
	if second := s.Await(); second.p != nil {
		t.Error("two poll at once")
	}
	first.End()
	if !sleeps(&s) {
		t.Error("nobody polls any more")
	}
}

func TestEndsAreRead(t *testing.T) {
	ours, theirs := pair(t)
	var s Socket
	s.Set(ours, wake.Always)
	_ = theirs.CloseWrite()
	if n, err := s.Read(ours, make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d, %v after the end", n, err)
	}
	_ = ours.SetReadDeadline(time.Unix(1, 0))
	if _, err := s.Read(ours, make([]byte, 1)); err == nil {
		t.Error("no error past the deadline")
	}
	_ = ours.Close()
	if _, err := s.Read(ours, make([]byte, 1)); err == nil {
		t.Error("no error after Close")
	}
	if sleeps(&s) {
		t.Error("sleeps on a closed socket")
	}
}
