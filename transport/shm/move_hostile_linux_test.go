// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// evil is a peer on the socket of an honest connection that may get rings.
type evil struct {
	t    testing.TB
	sock *net.UnixConn
}

// versus returns an honest end and its peer laid open.
func versus(t testing.TB, honestIsServer bool) (*Conn, *evil) {
	t.Helper()
	a, b := sockets(t)
	id := selfIdentity(t, b)
	opts, err := Options{RingSize: MinRingSize, Budget: new(Budget)}.Within(time.Hour).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan *Conn, 1)
	go func() {
		c, err := NewConn(t.Context(), a, id, honestIsServer, DialConfig{DialConfig: transport.DialConfig{Logger: slog.New(slog.DiscardHandler)}, Options: opts})
		if err != nil {
			t.Error(err)
		}
		done <- c
	}()
	h := &handshake{sock: b, id: id, opts: opts}
	var got agreement
	if honestIsServer {
		got, err = h.client()
	} else {
		got, err = h.server()
	}
	if err != nil || !got.later {
		t.Fatalf("%+v, %v", got, err)
	}
	c := <-done
	t.Cleanup(func() {
		_, _ = c.Close(), b.Close()
		if n := opts.Budget.Used(); n != 0 {
			t.Errorf("%d bytes of the budget are lost", n)
		}
	})
	for _, end := range []net.Conn{c, b} { // neither end waits for ever
		_ = end.SetDeadline(time.Now().Add(10 * time.Second))
	}
	return c, &evil{t: t, sock: b}
}

// versusOffering returns an honest dialer whose traffic has made it offer
// rings, and its peer.
func versusOffering(t *testing.T) (*Conn, *evil) {
	t.Helper()
	c, e := versus(t, false)
	for range worthFrames {
		if _, err := c.Write([]byte("traffic")); err != nil {
			t.Fatal(err)
		}
	}
	if kind := e.answer(); kind != frameOffer {
		t.Fatalf("%#x came for an offer", kind)
	}
	return c, e
}

func (e *evil) send(frame []byte, fds ...int) {
	e.t.Helper()
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if _, _, err := e.sock.WriteMsgUnix(frame, oob, nil); err != nil && !isGone(err) {
		e.t.Fatal(err)
	}
}

func frameOf(kind byte, files, length int) []byte {
	f := make([]byte, frameHead, offerSize)
	f[0], f[1] = kind, byte(files)
	binary.LittleEndian.PutUint32(f[4:], uint32(length))
	return f
}

func offerOf(kind byte, ring uint32, zero uint32) []byte {
	files, _ := controlFrame(kind)
	f := frameOf(kind, files, offerSize-frameHead)
	f = binary.LittleEndian.AppendUint32(f, ring)
	f = binary.LittleEndian.AppendUint32(f, zero)
	return binary.LittleEndian.AppendUint64(f, 0)
}

func dataOf(s string) []byte { return append(frameOf(frameData, 0, len(s)), s...) }

func segment(t testing.TB) int {
	return memory(t, int64(segmentSize(MinRingSize)), allSeals, false)
}

// socketPair returns one end; the other is open as long as the test.
func socketPair(t testing.TB, kind int) int {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(fds[:]) })
	return fds[0]
}

func lonelySocket(t testing.TB, domain int) int {
	t.Helper()
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// goodOffer is an offer that an honest dialer would make.
func (e *evil) goodOffer() {
	e.send(offerOf(frameOffer, MinRingSize, 0), segment(e.t), socketPair(e.t, unix.SOCK_STREAM))
}

// answer reads one control frame of the honest side, past any data.
func (e *evil) answer() byte {
	e.t.Helper()
	_ = e.sock.SetReadDeadline(time.Now().Add(10 * time.Second))
	h := &handshake{sock: e.sock}
	for {
		head := make([]byte, frameHead)
		var from receiver
		raw, err := e.sock.SyscallConn()
		if err != nil {
			e.t.Fatal(err)
		}
		for got := 0; got < len(head); {
			var n int
			var fds []int
			var rerr error
			err := raw.Read(func(fd uintptr) bool {
				n, fds, rerr = from.receive(int(fd), head[got:])
				return !errors.Is(rerr, errWouldWait)
			})
			closeAll(fds)
			if err = errors.Join(err, rerr); err != nil || n == 0 {
				e.t.Fatal("no answer: ", err)
			}
			got += n
		}
		if n := int(binary.LittleEndian.Uint32(head[4:])); n > 0 {
			if _, _, err := h.exactly(n); err != nil {
				e.t.Fatal(err)
			}
		}
		if head[0] != frameData {
			return head[0]
		}
	}
}

// A dialer that lies about the move fails its own connection, with a protocol
// error, and leaves nothing behind.
func TestHostileMover(t *testing.T) {
	for name, attack := range map[string]func(e *evil, c *Conn){
		"GoUnasked":  func(e *evil, _ *Conn) { e.send(frameOf(frameGo, 0, 0)) },
		"AcceptsIt":  func(e *evil, _ *Conn) { e.send(offerOf(frameAccept, MinRingSize, 0), segment(e.t)) },
		"OffersMore": func(e *evil, _ *Conn) { e.goodOffer(); e.goodOffer() },
		"GoesTwice":  func(e *evil, _ *Conn) { e.goodOffer(); e.send(frameOf(frameGo, 0, 0)); e.send(frameOf(frameGo, 0, 0)) },
		"HugeRing": func(e *evil, _ *Conn) {
			e.send(offerOf(frameOffer, 1<<31, 0), segment(e.t), socketPair(e.t, unix.SOCK_STREAM))
		},
		"OddRing": func(e *evil, _ *Conn) {
			e.send(offerOf(frameOffer, MinRingSize+1, 0), segment(e.t), socketPair(e.t, unix.SOCK_STREAM))
		},
		"NotZero": func(e *evil, _ *Conn) {
			e.send(offerOf(frameOffer, MinRingSize, 1), segment(e.t), socketPair(e.t, unix.SOCK_STREAM))
		},
		"OtherSize": func(e *evil, _ *Conn) {
			e.send(offerOf(frameOffer, 2*MinRingSize, 0), segment(e.t), socketPair(e.t, unix.SOCK_STREAM))
		},
		"Unsealed": func(e *evil, _ *Conn) {
			e.send(offerOf(frameOffer, MinRingSize, 0), memory(e.t, int64(segmentSize(MinRingSize)), 0, false), socketPair(e.t, unix.SOCK_STREAM))
		},
		"SocketForSegment": func(e *evil, _ *Conn) {
			e.send(offerOf(frameOffer, MinRingSize, 0), socketPair(e.t, unix.SOCK_STREAM), segment(e.t))
		},
		"OneDescriptor":    func(e *evil, _ *Conn) { e.send(offerOf(frameOffer, MinRingSize, 0), segment(e.t)) },
		"ThreeDescriptors": func(e *evil, _ *Conn) { e.send(offerOf(frameOffer, MinRingSize, 0), 0, 0, 0) },
		"ADiskFile": func(e *evil, _ *Conn) {
			e.send(offerOf(frameOffer, MinRingSize, 0), segment(e.t), openFD(e.t, filepath.Join(e.t.(*testing.T).TempDir(), "f")))
		},
		"Datagrams": func(e *evil, _ *Conn) {
			e.send(offerOf(frameOffer, MinRingSize, 0), segment(e.t), socketPair(e.t, unix.SOCK_DGRAM))
		},
		"ToNobody": func(e *evil, _ *Conn) {
			e.send(offerOf(frameOffer, MinRingSize, 0), segment(e.t), lonelySocket(e.t, unix.AF_UNIX))
		},
		"InternetSocket": func(e *evil, _ *Conn) {
			e.send(offerOf(frameOffer, MinRingSize, 0), segment(e.t), lonelySocket(e.t, unix.AF_INET))
		},
		"GoWithLength": func(e *evil, _ *Conn) { e.send(frameOf(frameGo, 0, 8)) },
		"GoWithFile":   func(e *evil, _ *Conn) { e.send(frameOf(frameGo, 1, 0), 0) },
		"FrameUnknown": func(e *evil, _ *Conn) { e.send(frameOf(0x17, 0, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			c, e := versus(t, true)
			e.send(dataOf("x"))
			attack(e, c)
			p := make([]byte, 10)
			n, err := 0, error(nil)
			for range 3 {
				var m int
				m, err = c.Read(p)
				if n += m; err != nil {
					break
				}
			}
			if !errors.Is(err, fault.Protocol) && (name != "GoesTwice" || !errors.Is(err, fault.Timeout)) || n != 1 {
				t.Errorf("%d bytes, then %v; want 1, and a protocol error", n, err)
			}
		})
	}
}

// A listener that lies fares no better.
func TestHostileListenerOfAMove(t *testing.T) {
	for name, attack := range map[string]func(e *evil){
		"Offers":        func(e *evil) { e.goodOffer() },
		"GoUnasked":     func(e *evil) { e.send(frameOf(frameGo, 0, 0)) },
		"AcceptUnasked": func(e *evil) { e.send(offerOf(frameAccept, MinRingSize, 0), segment(e.t)) },
	} {
		t.Run(name, func(t *testing.T) {
			c, e := versus(t, false)
			attack(e)
			if _, err := c.Read(make([]byte, 10)); !errors.Is(err, fault.Protocol) {
				t.Errorf("%v, want a protocol error", err)
			}
		})
	}
	for name, attack := range map[string]func(e *evil){
		"Unsealed": func(e *evil) {
			e.send(offerOf(frameAccept, MinRingSize, 0), memory(e.t, int64(segmentSize(MinRingSize)), 0, false))
		},
		"NoSegment":  func(e *evil) { e.send(offerOf(frameAccept, MinRingSize, 0)) },
		"HugeRing":   func(e *evil) { e.send(offerOf(frameAccept, 1<<31, 0), segment(e.t)) },
		"GoesAtOnce": func(e *evil) { e.send(frameOf(frameGo, 0, 0)) },
		"AcceptTwice": func(e *evil) { // the second one before the dialer goes or after
			e.send(offerOf(frameAccept, MinRingSize, 0), segment(e.t))
			e.send(offerOf(frameAccept, MinRingSize, 0), segment(e.t))
		},
	} {
		t.Run("Answer/"+name, func(t *testing.T) {
			c, e := versusOffering(t)
			attack(e)
			if _, err := c.Read(make([]byte, 10)); !errors.Is(err, fault.Protocol) {
				t.Errorf("%v, want a protocol error", err)
			}
		})
	}
}

// Offers that come to nothing again and again are declined unseen at last, and
// cost nothing but themselves.
func TestManyOffers(t *testing.T) {
	c, e := versus(t, true)
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, struct{ io.Reader }{c})
		read <- err
	}()
	for i := range maxOffers + 3 {
		e.goodOffer()
		want := byte(frameAccept)
		if i >= maxOffers {
			want = frameNone
		}
		if kind := e.answer(); kind != want {
			t.Fatalf("offer %d: %#x", i, kind)
		}
		if want == frameAccept {
			e.send(frameOf(frameNone, 0, 0))
		}
	}
	e.send(frameOf(frameEnd, 0, 0))
	if err := <-read; err != nil {
		t.Error(err)
	}
	wantFallbacks(t, 1, c)
}

// FuzzMove runs a script of a peer that sends frames of all kinds, with
// descriptors that may be good, while the connection reads and writes.
func FuzzMove(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 5, 0, 0, 1}, true)
	f.Add([]byte{0, 9, 0, 9, 2, 0, 4, 0}, false)
	f.Add([]byte{1, 0, 4, 0, 0, 3, 6, 1}, true)
	f.Add([]byte{1, 0, 4, 0, 7, 0, 0, 3}, true)
	f.Fuzz(func(t *testing.T, script []byte, server bool) {
		script = script[:min(len(script), 64)] // what a socket holds if the honest side reads no more: send does not wait
		c, e := versus(t, server)
		buf := make([]byte, 4*MinRingSize)
		for ; len(script) >= 2; script = script[2:] {
			e.play(script[0]%8, script[1])
			_ = c.SetDeadline(time.Now().Add(time.Millisecond))
			for _, try := range []func() error{
				func() error { _, err := c.Read(buf[:100]); return err },
				func() error { _, err := c.Write(buf[:int(script[1])*64]); return err },
				func() error { _, _, err := c.ReadFiles(buf[:10]); return err },
			} {
				if err := try(); err != nil && !expected(err) {
					t.Fatal(err)
				}
			}
		}
	})
}

func (e *evil) play(op, v byte) {
	switch op {
	case 0:
		e.send(append(frameOf(frameData, 0, 1+int(v)), make([]byte, 1+int(v))...))
	case 1:
		e.goodOffer()
	case 2:
		e.send(offerOf(frameAccept, MinRingSize, 0), segment(e.t))
	case 3:
		e.send(frameOf(frameNone, 0, 0))
	case 4:
		e.send(frameOf(frameGo, 0, 0))
	case 5:
		e.send(frameOf(frameEnd, 0, 0))
	case 6:
		e.send([]byte{v})
	case 7:
		e.send(offerOf(frameOffer+v%2, uint32(v)<<14, 0), segment(e.t), segment(e.t))
	}
}

// A deadline between the head of a frame and the rest of it loses neither.
func TestMoveFrameInTwoPieces(t *testing.T) {
	c, e := versus(t, true)
	offer := offerOf(frameOffer, MinRingSize, 0)
	e.send(offer[:frameHead], segment(t), socketPair(t, unix.SOCK_STREAM))
	b := make([]byte, 8)
	for range 2 {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := c.Read(b); n != 0 || fault.KindOf(err) != fault.Timeout {
			t.Fatal(n, err)
		}
	}
	e.send(offer[frameHead:])
	e.send(dataOf("x"))
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(b); err != nil || string(b[:n]) != "x" {
		t.Fatal(n, err)
	}
	if got := e.answer(); got != frameAccept {
		t.Errorf("answered %#x to an offer in two pieces", got)
	}
}
