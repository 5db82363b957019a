// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

// cutFrame is a frame that an honest end may find on its socket.
type cutFrame struct {
	name   string
	server bool // the honest end
	before byte // the kind of the frame that the peer waits for before it sends this one
	frame  []byte
	fds    func(t *testing.T) []int
	answer byte // what the honest end says to it
	end    bool // it ends the direction
}

func cutFrames() (frames []cutFrame) {
	none := func(*testing.T) []int { return nil }
	one := func(t *testing.T) []int { return []int{segment(t)} }
	for _, server := range []bool{true, false} {
		withFile := dataOf("xyz")
		withFile[1] = 1
		frames = append(frames,
			cutFrame{name: "Data", server: server, frame: dataOf("xyz"), fds: none},
			cutFrame{name: "File", server: server, frame: withFile, fds: one},
			cutFrame{name: "End", server: server, frame: frameOf(frameEnd, 0, 0), fds: none, end: true})
	}
	return append(frames,
		cutFrame{name: "Offer", server: true, frame: offerOf(frameOffer, MinRingSize, 0), answer: frameAccept,
			fds: func(t *testing.T) []int { return []int{segment(t), socketPair(t, unix.SOCK_STREAM)} }},
		cutFrame{name: "None", server: false, before: frameOffer, frame: frameOf(frameNone, 0, 0), fds: none},
		cutFrame{name: "Accept", server: false, before: frameOffer, frame: offerOf(frameAccept, MinRingSize, 0), fds: one, answer: frameGo})
}

// swallow makes c read what there is of a frame, by Reads that a deadline ends
// or as a writer does in passing.
func swallow(t *testing.T, c *Conn, glance bool) {
	t.Helper()
	p := c.plain
	for waiting := 1; waiting > 0; {
		if glance {
			p.rmu.Lock()
			if p.left > 0 {
				p.rmu.Unlock()
				return
			}
			err := p.remember(p.readHead(false))
			p.rmu.Unlock()
			if err != nil && !errors.Is(err, errWouldWait) {
				t.Error(err)
			}
		} else {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if n, err := c.Read(make([]byte, 8)); n != 0 || fault.KindOf(err) != fault.Timeout {
				t.Fatal(n, err)
			}
		}
		_ = p.raw.Control(func(fd uintptr) { waiting, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
}

// Whatever byte of whatever frame a deadline comes behind, or a writer that
// does not wait: the frame is read when the rest comes, nothing of it is lost,
// and nothing is left if the connection ends there.
func TestFramesCutAnywhere(t *testing.T) {
	for _, f := range cutFrames() {
		for _, glance := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,server=%v,glance=%v", f.name, f.server, glance), func(t *testing.T) {
				for cut := 1; cut < len(f.frame); cut++ {
					if data := f.frame[0] == frameData; data && cut > frameHead {
						break // what of the data has come is read
					}
					f.goesOn(t, cut, glance)
					f.ends(t, cut, glance)
				}
			})
		}
	}
}

// begin sends the first bytes, and has them read.
func (f *cutFrame) begin(t *testing.T, cut int, glance bool) (*Conn, *evil) {
	c, e := versus(t, f.server)
	if f.before != 0 {
		for range worthFrames {
			if _, err := c.Write([]byte("traffic")); err != nil {
				t.Fatal(err)
			}
		}
		if kind := e.answer(); kind != f.before {
			t.Fatalf("%#x came first", kind)
		}
	}
	e.send(f.frame[:cut], f.fds(t)...)
	swallow(t, c, glance)
	return c, e
}

func (f *cutFrame) goesOn(t *testing.T, cut int, glance bool) {
	t.Helper()
	c, e := f.begin(t, cut, glance)
	if _, err := c.Write([]byte("y")); err != nil { // the other direction goes on
		t.Fatal(err)
	}
	e.send(f.frame[cut:])
	want, files := "", 0
	if f.frame[0] == frameData {
		want, files = "xyz", int(f.frame[1])
	}
	if !f.end {
		e.send(dataOf("."))
		want += "."
	}
	got := ""
	for len(got) < len(want) {
		b := make([]byte, 8)
		n, fs, err := c.ReadFiles(b)
		if err != nil {
			t.Fatalf("cut %d: after %q: %v", cut, got, err)
		}
		got += string(b[:n])
		files -= len(fs)
		for _, file := range fs {
			_ = file.Close()
		}
	}
	if got != want || files != 0 {
		t.Errorf("cut %d: %q came, not %q, and %d files too few", cut, got, want, files)
	}
	if f.end {
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("cut %d: %d, %v at the end", cut, n, err)
		}
	}
	if f.answer != 0 {
		if kind := e.answer(); kind != f.answer {
			t.Errorf("cut %d: answered with %#x", cut, kind)
		}
	}
	_ = c.Close()
}

// ends closes the connection, or our direction first, in the middle of the
// frame.
func (f *cutFrame) ends(t *testing.T, cut int, glance bool) {
	t.Helper()
	c, e := f.begin(t, cut, glance)
	mine := proctest.Descriptors(t)
	if cut%2 == 0 {
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		e.send(f.frame[cut:])
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(make([]byte, 8)); err != nil && err != io.EOF && fault.KindOf(err) != fault.Timeout {
			t.Errorf("cut %d: %v", cut, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Errorf("cut %d: %v", cut, err)
	}
	if n := proctest.Descriptors(t); n >= mine { // the socket at least
		t.Errorf("cut %d: %d descriptors after Close, %d before", cut, n, mine)
	}
}

// Descriptors come with the first byte of a frame: more of them behind it
// break the connection, and stay with nobody.
func TestMoveWithMoreDescriptors(t *testing.T) {
	for _, f := range cutFrames() {
		if f.frame[0] == frameEnd || f.frame[0] == frameNone {
			continue
		}
		for _, cut := range []int{1, frameHead - 1, frameHead, len(f.frame) - 1} {
			if f.frame[0] == frameData && cut > frameHead {
				continue // the Read before has had the first byte of the data
			}
			t.Run(fmt.Sprintf("%s,server=%v,%d", f.name, f.server, cut), func(t *testing.T) {
				c, e := f.begin(t, cut, false)
				more := []int{segment(t), socketPair(t, unix.SOCK_STREAM)}
				mine := proctest.Descriptors(t)
				e.send(f.frame[cut:], more...)
				if _, err := c.Read(make([]byte, 8)); !errors.Is(err, fault.Protocol) {
					t.Errorf("%v, want a protocol error", err)
				}
				_ = c.Close()
				if n := proctest.Descriptors(t); n >= mine { // the socket at least
					t.Errorf("%d descriptors after Close, %d before", n, mine)
				}
			})
		}
	}
}

// Reads and Writes that deadlines cut short all the time lose nothing through
// the move, whoever writes.
func TestDeadlinesThroughTheMove(t *testing.T) {
	const total = 256 << 10
	for round := range 4 {
		a, b := pair(t, Options{RingSize: MinRingSize}, Options{RingSize: MinRingSize})
		var wg sync.WaitGroup
		for i, way := range [][2]*Conn{{a, b}, {b, a}} {
			sent := make([]byte, total)
			_, _ = rand.NewChaCha8([32]byte{byte(round), byte(i)}).Read(sent)
			wg.Go(func() {
				for rest := sent; len(rest) > 0; {
					_ = way[0].SetWriteDeadline(time.Now().Add(time.Duration(rand.IntN(300)) * time.Microsecond))
					n, err := way[0].Write(rest[:min(len(rest), 1+rand.IntN(40<<10))])
					if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error(err)
						_ = way[0].Close()
						return
					}
					rest = rest[n:]
				}
			})
			wg.Go(func() {
				got, p := make([]byte, 0, total), make([]byte, 20<<10)
				for len(got) < total {
					_ = way[1].SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(300)) * time.Microsecond))
					n, err := way[1].Read(p[:1+rand.IntN(len(p)-1)])
					if got = append(got, p[:n]...); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error(err)
						_ = way[1].Close()
						return
					}
				}
				if !bytes.Equal(got, sent) {
					t.Errorf("round %d, way %d: not what was sent", round, i)
				}
			})
		}
		wg.Wait()
		_, _ = a.Close(), b.Close()
	}
}

// A Close while nobody writes is an orderly end, however far the move has come.
func TestCloseDuringTheMove(t *testing.T) {
	for i := range 200 {
		a, b := pair(t, Options{RingSize: MinRingSize, Spin: Off}, Options{RingSize: MinRingSize, Spin: Off})
		if i%2 == 1 {
			a, b = b, a
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{a}) })
		wg.Go(func() {
			for range worthFrames + i%8 {
				if _, err := a.Write([]byte{1}); err != nil {
					t.Error(err)
				}
			}
			for range rand.IntN(3000) {
				rand.IntN(3)
			}
			_ = a.Close()
		})
		if n, err := io.Copy(io.Discard, struct{ io.Reader }{b}); err != nil || int(n) != worthFrames+i%8 {
			t.Errorf("round %d: %d, %v", i, n, err)
		}
		wg.Wait()
		_ = b.Close()
	}
}

// A frame of the move that is being sent when Close comes is no Write that it
// cuts: the end is an orderly one, and no fallback.
func TestCloseWhileTheMovePays(t *testing.T) {
	a, b := pair(t, Options{}, Options{})
	p := a.plain
	p.paying.Lock() // as payAlone does
	if !p.wmu.tryLock() {
		t.Fatal("nobody writes")
	}
	closed := make(chan error, 1)
	go func() { closed <- a.Close() }()
	for !p.shut.Load() {
		runtime.Gosched()
	}
	p.wmu.unlock()
	p.paying.Unlock()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d, %v; want the end", n, err)
	}
}

// A Write that cannot send the dialer's last frame of the move, for want of
// room, while Close comes: who lets go of the stream last gives everything back.
func TestCloseWhileTheMoveFindsNoRoom(t *testing.T) {
	budget := new(Budget)
	a, b := pair(t, Options{RingSize: MinRingSize, Budget: budget}, Options{RingSize: MinRingSize, Budget: new(Budget)})
	p := a.plain
	p.rmu.Lock() // so that no Write looks at the answer
	one := []byte{1}
	for b.plain.move.phaseNow() != agreed {
		if _, err := a.Write(one); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(one); err != nil {
			t.Fatal(err)
		}
	}
	_ = a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	for err := error(nil); err == nil; {
		_, err = a.Write(make([]byte, maxFrame))
	}
	p.rmu.Unlock()
	if _, err := b.Write(one); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(one); err != nil {
		t.Fatal(err)
	}
	s := p.move.stream
	if s == nil || p.move.owed.Load() != frameGo {
		t.Fatal("it found room")
	}
	if !p.wmu.tryLock() || !s.wr.mu.tryLock() { // as a Write does that sends it
		t.Fatal("nobody writes")
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	s.wr.mu.unlock()
	p.move.mu.Lock()
	if p.goOut() != nil {
		t.Error("it went out after Close")
	}
	p.move.mu.Unlock()
	p.wmu.unlock()
	if n := budget.Used(); n != 0 {
		t.Errorf("%d bytes of the budget are lost", n)
	}
}

func (m *mover) phaseNow() phase {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.phase
}

// Our answer to the move comes too late for a connection that is closed: that
// is no want of memory.
func TestGoAfterClose(t *testing.T) {
	c, e := versusOffering(t)
	p := c.plain
	if !p.wmu.tryLock() { // so that nobody pays
		t.Fatal("nobody writes")
	}
	e.send(offerOf(frameAccept, MinRingSize, 0), segment(t))
	swallow(t, c, true)
	if kind := p.move.owed.Load(); kind != frameGo {
		t.Fatalf("%#x is due", kind)
	}
	p.closed.Store(true) // as Close begins
	if s := p.pay(); s != nil {
		t.Error("moved a closed connection")
	}
	p.closed.Store(false)
	p.wmu.unlock()
	wantFallbacks(t, 0, c)
}
