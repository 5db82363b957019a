// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"errors"
	"runtime"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/inproc"
)

// answered returns our side of a connection whose other side is answered, and
// what Answer returned.
func answered(t testing.TB, theirs func(transport.Conn) transport.Conn) (*inproc.Conn, <-chan error) {
	a, b := inproc.Pipe()
	result := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := Answer(theirs(b))
		_ = b.Close()
		result <- err
	}()
	t.Cleanup(func() { _ = a.Close(); <-done })
	return a, result
}

func plain(c transport.Conn) transport.Conn { return c }

// spoilt changes one of the bytes that it reads: the at-th.
type spoilt struct {
	transport.Conn
	at int
}

func (s *spoilt) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if s.at >= 0 && s.at < n {
		p[s.at] ^= 1
	}
	s.at -= n
	return n, err
}

func TestExchange(t *testing.T) {
	for _, n := range []int{0, 1, 1 << 20} {
		conn, result := answered(t, plain)
		if err := Exchange(conn, n); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if err := <-result; err != nil {
			t.Errorf("%d bytes: the other side: %v", n, err)
		}
	}
}

// TestExchangeFindsOneByte: a single byte that differs, either way, or in the
// checksum itself, is found.
func TestExchangeFindsOneByte(t *testing.T) {
	const n = 10_000
	for _, at := range []int{0, n - 1, n, n + 31} {
		conn, _ := answered(t, plain)
		if err := Exchange(&spoilt{conn, at}, n); fault.KindOf(err) != fault.Protocol {
			t.Errorf("byte %d of what came: %v", at, err)
		}
		const head = 9
		conn, result := answered(t, func(c transport.Conn) transport.Conn { return &spoilt{c, head + at} })
		if err := Exchange(conn, n); fault.KindOf(err) != fault.Protocol {
			t.Errorf("byte %d of what went: %v", at, err)
		}
		if err := <-result; fault.KindOf(err) != fault.Protocol {
			t.Errorf("byte %d of what went: the other side: %v", at, err)
		}
	}
}

func TestExchangeTooLarge(t *testing.T) {
	conn, result := answered(t, plain)
	if _, err := conn.Write([]byte{byte(exchange), 255, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if err := <-result; fault.KindOf(err) != fault.TooLarge {
		t.Error(err)
	}
}

func TestPassFiles(t *testing.T) {
	conn, result := answered(t, plain)
	err := PassFiles(conn)
	if runtime.GOOS == "windows" && fault.KindOf(err) == fault.Unsupported {
		t.Skip("files do not travel on Windows")
	}
	if err := errors.Join(err, <-result); err != nil {
		t.Error(err)
	}
	conn, _ = answered(t, plain)
	if err := PassFiles(&spoilt{conn, -1}); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("a connection that carries bytes only: %v", err)
	}
}

// FuzzAnswer: whatever comes, Answer ends once the other side has gone.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{"", "w", "x\x00\x00\x00\x00\x00\x00\x00\x01", "f", "m", "?", "mabcdefghijklmnopqrstuvwxyz"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		conn, result := answered(t, plain)
		if _, err := conn.Write(data); err == nil {
			_ = conn.CloseWrite()
		}
		_ = conn.Close()
		<-result
	})
}
