// SPDX-License-Identifier: Apache-2.0

package busypoll

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/internal/wake"
)

// share is how many busy sockets a slot for a spinner can serve.
const share = 3

// Socket is one socket whose reader may poll. Its zero value does not.
type Socket struct {
	state atomic.Pointer[polling] // nil: does not poll
	never atomic.Bool
}

// polling is what it takes. The pacer belongs to one reader at a time; others
// do not poll meanwhile.
type polling struct {
	raw syscall.RawConn

	mu    sync.Mutex
	pacer wake.Pacer // guarded by mu
	fd    int        // guarded by mu: lent while spin runs
	met   bool       // guarded by mu
	seen  int64      // guarded by mu: when crowd counted it last

	spin func(fd uintptr) // these two are allocated once
	look func() bool
}

// Set says how reads of sock wait from now on. Off is for good.
func (s *Socket) Set(sock syscall.Conn, mode wake.Mode) {
	if mode == wake.Off {
		s.never.Store(true)
		s.state.Store(nil)
	}
	if !supported || s.never.Load() {
		return
	}
	raw, err := sock.SyscallConn()
	if err != nil {
		return
	}
	p := &polling{raw: raw, pacer: wake.NewSparsePacer(mode)}
	p.look = func() bool { return pending(p.fd) }
	p.spin = func(fd uintptr) {
		p.fd = int(fd)
		p.met = p.pacer.Spin(p.look)
	}
	s.state.Store(p)
}

// Sleep is a read that goes on in the poller, from before it to its end.
type Sleep struct {
	p     *polling
	start time.Time
}

// Await polls, if that is wanted and pays, until something can be read or it
// is time to sleep. The caller then reads, and ends the Sleep.
func (s *Socket) Await() Sleep {
	p := s.state.Load()
	if p == nil || !p.mu.TryLock() {
		return Sleep{}
	}
	p.met = false
	if busy.note(&p.seen) > share*max(1, wake.Slots()) {
		p.mu.Unlock()
		return Sleep{}
	}
	if err := p.raw.Control(p.spin); p.met || err != nil {
		p.mu.Unlock()
		return Sleep{}
	}
	return Sleep{p: p, start: time.Now()}
}

// End tells how long the read took, from which the next Await learns.
func (s Sleep) End() {
	if s.p != nil {
		s.p.pacer.Slept(time.Since(s.start))
		s.p.mu.Unlock()
	}
}

// Read is sock.Read with an Await before it.
func (s *Socket) Read(sock net.Conn, b []byte) (int, error) {
	sleep := s.Await()
	n, err := sock.Read(b)
	sleep.End()
	return n, err
}
