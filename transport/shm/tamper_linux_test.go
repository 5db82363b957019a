// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/transport"
)

func selfIdentity(t testing.TB, c *net.UnixConn) auth.Identity {
	t.Helper()
	id, err := unixconn.PeerIdentity(c)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// tampered returns an honest connection and its peer laid open.
func tampered(t testing.TB, opts Options, log io.Writer) (*Conn, *rings, *net.UnixConn) {
	t.Helper()
	opts.Attach = AtOnce
	a, b := sockets(t)
	id := selfIdentity(t, b)
	done := make(chan *Conn, 1)
	go func() {
		c, err := NewConn(t.Context(), b, id, true, DialConfig{DialConfig: transport.DialConfig{Logger: slog.New(slog.NewTextHandler(log, nil))}, Options: opts})
		if err != nil {
			t.Error(err)
		}
		done <- c
	}()
	evil, err := opts.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	agreed, err := (&handshake{sock: a, id: id, opts: evil}).client()
	if err != nil {
		t.Fatal(err)
	}
	r := agreed.rings
	c := <-done
	t.Cleanup(func() { _ = c.Close(); _ = a.Close(); r.abandon() })
	return c, r, a
}

func TestTamperedWords(t *testing.T) {
	const size = MinRingSize
	small := make([]byte, 100)
	big := make([]byte, 4*size)
	read := func(c *Conn) error { _, err := c.Read(small); return err }
	write := func(c *Conn) error { _, err := c.Write(big); return err }
	for name, tamper := range map[string]struct {
		do  func(p page, sock *net.UnixConn)
		try func(*Conn) error
	}{
		"TailBeyondCapacity": {func(p page, _ *net.UnixConn) { p.tail.Store(size + 1) }, read},
		"TailBack":           {func(p page, _ *net.UnixConn) { p.tail.Store(1<<64 - 1) }, read},
		"TailFar":            {func(p page, _ *net.UnixConn) { p.tail.Store(1 << 63) }, read},
		"HeadBeyondTail":     {func(p page, _ *net.UnixConn) { p.head.Store(1 << 40) }, write},
		"HeadBack":           {func(p page, _ *net.UnixConn) { p.head.Store(1<<64 - 1) }, write},
		"TakenTooMany":       {func(p page, _ *net.UnixConn) { p.taken.Store(3) }, write},
		"FilesTooMany":       {func(p page, _ *net.UnixConn) { p.files.Store(1000); p.tail.Store(1) }, read},
		"FilesNeverSent":     {func(p page, _ *net.UnixConn) { p.files.Store(1); p.tail.Store(1) }, read},
		"NoiseOnTheSocket":   {func(_ page, s *net.UnixConn) { _, _ = s.Write([]byte{0x77}) }, read},
		"LooseDescriptor":    {func(_ page, s *net.UnixConn) { _, _, _ = s.WriteMsgUnix([]byte{msgWake}, unix.UnixRights(0), nil) }, read},
		"CountedWrong": {func(_ page, s *net.UnixConn) {
			_, _, _ = s.WriteMsgUnix(appendFiles(nil, 2, 0), unix.UnixRights(0), nil)
		}, read},
		"FilesPiledUp": {func(_ page, s *net.UnixConn) { // within the bound on groups
			for pos := range uint64(maxParked/transport.MaxFiles + 1) {
				_, _, _ = s.WriteMsgUnix(appendFiles(nil, transport.MaxFiles, pos), unix.UnixRights(make([]int, transport.MaxFiles)...), nil)
			}
		}, read},
		"FilesBehind": {func(p page, s *net.UnixConn) {
			_, _, _ = s.WriteMsgUnix(appendFiles(nil, 1, 1<<50), unix.UnixRights(0), nil)
			p.files.Store(1)
			p.tail.Store(1)
		}, read},
	} {
		t.Run(name, func(t *testing.T) {
			log := new(safeBuffer)
			c, r, sock := tampered(t, Options{RingSize: size}, log)
			tamper.do(pageOf(r.ownMap.Head), sock)
			if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time finds it broken already
				if err := tamper.try(c); !errors.Is(err, fault.Protocol) {
					t.Fatalf("%v, want a protocol error", err)
				}
			}
			if !strings.Contains(log.String(), "connection failed") {
				t.Errorf("the log says %q", log)
			}
			if _, err := sock.Read(small); err != nil && !errors.Is(err, io.EOF) && !isGone(err) {
				t.Errorf("the peer's socket: %v", err)
			}
		})
	}
}

// False sleep numbers and wants cost the liar's partner a byte, nothing else.
func TestTamperedSleep(t *testing.T) {
	c, r, _ := tampered(t, Options{RingSize: MinRingSize}, io.Discard)
	p := pageOf(r.ownMap.Head)
	for i := range uint32(2000) {
		p.rsleep.Store(2*i + 1) // now on the socket, now on our knock
		p.wsleep.Store(2*i + 1)
		p.want.Store(^uint32(0))
		if _, err := c.Write([]byte("12345678")); err != nil {
			t.Fatal(err)
		}
		if have, err := r.reader.Look(); err != nil || have != 8 {
			t.Fatal(have, err)
		}
		r.reader.Release(8)
	}
}

// A word that the peer forgot to send is what the safety time-out is for, and
// it is counted.
func TestSafetyTimeoutCounts(t *testing.T) {
	c, r, sock := tampered(t, Options{RingSize: MinRingSize, Spin: Off}.WithSafety(50*time.Millisecond), io.Discard)
	wantForgotten(t, c, r, sock, asleep)
}

// wantForgotten publishes bytes of which a reader that sleeps like that is not
// told, until it did sleep, and wants that counted, once. An announced sleep is
// taken back, and rightly, if the byte comes before the reader's last look; one
// that was over before the byte is followed by another, of which it is told.
func wantForgotten(t *testing.T, c *Conn, r *rings, sock *net.UnixConn, sleeping func(*testing.T, *Conn, *rings) sleeper) {
	t.Helper()
	rd := &c.out.Load().rd.half
	for rd.tally.safes == 0 && c.Counters().SafetyTimeouts.Load() == 0 {
		s := sleeping(t, c, r)
		r.writer.Publish(1)
		if pageOf(r.theirMap.Head).rsleep.Load() != s.word {
			rouseReader(t, r, sock)
		}
		if err := <-s.got; err != nil {
			t.Fatal(err)
		}
		s.cancel()
	}
	_ = c.Close()
	if n := c.Counters().SafetyTimeouts.Load(); n != 1 {
		t.Errorf("%d safety time-outs, want 1", n)
	}
}

// A peer may do to its own end of the socket what it likes: ours stays ours.
func TestClearedNonblock(t *testing.T) {
	c, _, sock := tampered(t, Options{RingSize: MinRingSize, Spin: Off}, io.Discard)
	f, err := sock.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.SetNonblock(int(f.Fd()), false); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v", err)
	}
}

// FuzzTamperedRing runs a script of a peer that writes its words, sends bytes
// and stops, while the connection reads and writes.
func FuzzTamperedRing(f *testing.F) {
	f.Add([]byte{0, 100, 1, 5, 2, 1, 3, 1})
	f.Add([]byte{4, 1, 5, 1, 6, 200, 7, 2, 8, 0, 9, 1})
	f.Add([]byte{0, 255, 0, 254, 10, 2, 8, 1, 0, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		c, r, sock := tampered(t, Options{RingSize: MinRingSize, Trusted: true}, io.Discard)
		p := pageOf(r.ownMap.Head)
		buf := make([]byte, 3*MinRingSize)
		for ; len(script) >= 2; script = script[2:] {
			op, v := script[0]%12, uint64(script[1])
			tamperOnce(p, sock, op, v)
			if err := c.SetDeadline(time.Now().Add(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			for _, try := range []func() error{
				func() error { _, err := c.Read(buf[:v*64]); return err },
				func() error { _, err := c.Write(buf[:min(int(v)*200, len(buf))]); return err },
				func() error { _, _, err := c.ReadFiles(buf[:v]); return err },
				func() error {
					b, err := c.Peek(t.Context(), int(v))
					if err == nil {
						err = c.Discard(len(b))
					}
					return err
				},
			} {
				if err := try(); err != nil && !expected(err) {
					t.Fatalf("op %d: %v", op, err)
				}
			}
		}
	})
}

func tamperOnce(p page, sock *net.UnixConn, op byte, v uint64) {
	wide := v * 0x0101010101010101
	switch op {
	case 0:
		p.tail.Store(v * 64)
	case 1:
		p.tail.Store(wide)
	case 2:
		p.head.Store(v * 64)
	case 3:
		p.head.Store(wide)
	case 4:
		p.files.Store(v & 31)
	case 5:
		p.taken.Store(v & 31)
	case 6:
		p.rsleep.Store(uint32(wide))
	case 7:
		p.wsleep.Store(uint32(wide))
		p.want.Store(uint32(wide))
	case 8:
		p.state.Store(uint32(v))
	case 9:
		_, _ = sock.Write([]byte{byte(v)})
	case 10:
		_, _, _ = sock.WriteMsgUnix(appendFiles(nil, int(v&3), v*64), unix.UnixRights(0), nil)
	case 11:
		_ = sock.CloseWrite()
	}
}

func expected(err error) bool {
	return errors.Is(err, fault.Protocol) || errors.Is(err, fault.PeerDied) || errors.Is(err, fault.Timeout) ||
		errors.Is(err, fault.Closed) || errors.Is(err, io.EOF)
}
