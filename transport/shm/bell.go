// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"cmp"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// The two sides of a connection that may wait on its socket.
const (
	reading = 0
	writing = 1
	nobody  = -1
)

var longAgo = time.Unix(1, 0)

// bell is the socket of a connection as a place to sleep. Both sides may sleep
// at once, but only one of them, the holder, can be in the poller: it hears
// for both, and when it leaves it passes the place on. Nobody sleeps, nobody
// holds; no goroutine of its own.
//
// A kick of a side is remembered until its next sleep, so a condition that
// was changed before the kick is never slept through.
type bell struct {
	sock   *net.UnixConn
	raw    syscall.RawConn
	in     inbox
	hangup func(error) // the peer has gone, or spoke nonsense; from any goroutine

	safety time.Duration

	mu      sync.Mutex
	holder  int              // guarded by mu
	kicked  [2]bool          // guarded by mu
	parked  [2]bool          // guarded by mu: waits for ch
	armed   time.Time        // guarded by mu: the read deadline in force; zero if it has passed
	sending bool             // guarded by mu: the writer is in the poller to send files
	ch      [2]chan struct{} // each holds one token

	hearFn func(fd uintptr) bool // hear, allocated once
	lookFn func(fd uintptr)
	ringFn func(fd uintptr)
}

func newBell(sock *net.UnixConn, safety time.Duration, hangup func(error)) (*bell, error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil, err
	}
	b := &bell{sock: sock, raw: raw, safety: safety, holder: nobody, hangup: hangup}
	b.ch = [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
	b.hearFn = func(fd uintptr) bool { return b.hear(int(fd)) }
	b.lookFn = func(fd uintptr) {
		if b.hear(int(fd)) { // it may have been for one who sleeps
			b.kick(reading)
			b.kick(writing)
		}
	}
	b.ringFn = func(fd uintptr) {
		if err := sendWake(int(fd)); err != nil {
			b.hangup(err)
		}
	}
	return b, nil
}

// hear takes in what the peer has sent, without waiting, and reports whether
// there was anything, an end included.
func (b *bell) hear(fd int) bool {
	heard, err := b.in.drain(fd)
	if err != nil {
		b.hangup(err)
		return true
	}
	return heard
}

// look takes in what the peer has sent, without waiting.
func (b *bell) look() { _ = b.raw.Control(b.lookFn) }

// ring sends one byte. If there is no room for it the peer has others to read,
// which do as well.
func (b *bell) ring() { _ = b.raw.Control(b.ringFn) }

// wait sleeps until side is kicked or the peer sends something. It may return
// early; it reports whether only the safety time-out ended it.
func (b *bell) wait(side int) (safety bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.kicked[side] {
		if b.holder == nobody {
			safety = b.hold(side)
			break
		}
		b.parked[side] = true
		b.mu.Unlock()
		<-b.ch[side]
		b.mu.Lock()
		b.parked[side] = false
	}
	b.kicked[side] = false
	return safety
}

// hold is called and returns with mu locked.
func (b *bell) hold(side int) (safety bool) {
	b.holder = side
	b.arm()
	b.mu.Unlock()
	err := b.raw.Read(b.hearFn)
	b.mu.Lock()
	b.holder = nobody
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		safety = !b.armed.IsZero() && !b.kicked[side]
		b.armed = time.Time{}
	default: // closed under us: the kick that goes with it comes or has come
		b.kicked[side] = true
	}
	b.kickLocked(1 - side) // what was heard may be for it, and the place is free
	return safety
}

// arm sets the safety time-out. It is left in force from sleep to sleep, for
// it costs a timer: a sleep may therefore end early.
func (b *bell) arm() {
	if b.armed.IsZero() {
		b.armed = time.Now().Add(b.safety)
		_ = b.sock.SetReadDeadline(b.armed)
	}
}

// hurry makes the next sleep end after d at most.
func (b *bell) hurry(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = time.Now().Add(d)
	_ = b.sock.SetReadDeadline(b.armed)
}

// kick ends the sleep of side, now or when it next begins.
func (b *bell) kick(side int) {
	b.mu.Lock()
	b.kickLocked(side)
	b.mu.Unlock()
}

func (b *bell) kickLocked(side int) {
	b.kicked[side] = true
	if side == writing && b.sending {
		_ = b.sock.SetWriteDeadline(longAgo)
	}
	if b.holder == side {
		b.armed = time.Time{}
		_ = b.sock.SetReadDeadline(longAgo)
		return
	}
	if b.parked[side] {
		select {
		case b.ch[side] <- struct{}{}:
		default: // it has a token already
		}
	}
}

// send sends one message with descriptors attached, all or nothing, waiting
// for room until the writing side is kicked.
func (b *bell) send(p []byte, fds []int) error {
	b.mu.Lock()
	if b.kicked[writing] {
		b.kicked[writing] = false
		b.mu.Unlock()
		return os.ErrDeadlineExceeded
	}
	b.sending = true
	_ = b.sock.SetWriteDeadline(time.Time{})
	b.mu.Unlock()

	var serr error
	err := b.raw.Write(func(fd uintptr) bool {
		var room bool
		room, serr = sendFiles(int(fd), p, fds)
		return room
	})
	b.mu.Lock()
	b.sending = false
	b.mu.Unlock()
	return cmp.Or(err, serr)
}

// close closes the socket and what had arrived on it.
func (b *bell) close() error {
	err := b.sock.Close()
	b.in.close()
	return err
}
