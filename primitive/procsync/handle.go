// SPDX-License-Identifier: Apache-2.0

package procsync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/futex"
	"github.com/parley-ipc/parley/internal/wake"
	"github.com/parley-ipc/parley/primitive/shm"
)

// Config says how a handle behaves. Its zero value works.
type Config struct {
	// Label says to people who has the handle; default the program's name. 64
	// bytes of it are kept.
	Label string

	// NoSpin makes every wait sleep at once, for programs whose processors
	// have better things to do.
	NoSpin bool

	// The rest is for objects with a name, and for whoever makes one.

	// Participants is how many handles there may be at once, at most
	// MaxParticipants; default DefaultParticipants.
	Participants int

	// Mode is the mode of the object's file; default 0600, for this user only.
	// 0660 lets the file's group in, 0666 everybody, where they can come:
	// below /run/parley. Whoever may use a lock may also keep it.
	Mode fs.FileMode

	// Access, if not nil, says who else may use the object, below /run/parley: as
	// shm.NamedConfig.Access. It comes from a policy (policy.Policy.Local), or
	// from whoever knows.
	Access *shm.Access

	// Patience bounds the wait for somebody who is making or removing the same
	// name; default shm.DefaultPatience.
	Patience time.Duration

	existing bool // make nothing
	reached  bool // as if other users could reach it; for tests
}

// handle is one participant: a slot, and the proof that we live. Its methods
// may be called from any goroutines, but none while Close runs.
type handle struct {
	*table              // immutable until Close
	name   string       // immutable
	me     int          // immutable
	who    uint64       // me+1, as the lock word has it; immutable
	slot   slot         // immutable until Close
	lives  *lives       // immutable
	forget func()       // takes us off the robust list
	done   func() error // gives the memory up; may be nil
	cut    *shm.Named   // set where others could cut the memory short; immutable
	clock  *coarse      // immutable

	lock     line // who waits for the lock word
	obj      line // who waits for what the object has to give
	parked   parking
	burying  sync.Mutex // the kernel tells our descriptions apart, not our goroutines
	suspects atomic.Int32
	late     atomic.Uint64
	onPassed func(uint64) // for tests; may be nil

	mu     sync.Mutex
	closed bool            // guarded by mu
	inside sync.WaitGroup  // grows under mu, while not closed
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
}

// line is where the goroutines of one handle stand in line: the first of them
// waits in shared memory for all.
type line struct {
	first chan struct{}
	count atomic.Int32
	pacer wake.Pacer // belongs to the first
	bell  bell
}

// attach takes a slot in an object for a new handle.
func attach(t *table, l *lives, cut *shm.Named, name string, c Config) (*handle, error) {
	mode := wake.Auto
	if c.NoSpin {
		mode = wake.Off
	}
	h := &handle{table: t, name: name, lives: l, cut: cut, clock: &clock}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for _, w := range []*line{&h.lock, &h.obj} {
		w.first, w.pacer = make(chan struct{}, 1), wake.NewPacer(mode)
	}
	h.parked.changed = make(chan struct{})
	if err := h.safely(func() error { return h.join(c.Label) }); err != nil {
		h.cancel()
		return nil, errors.Join(err, l.close())
	}
	return h, nil
}

// attachBytes is attach for the caller's own bytes.
func attachBytes(mem []byte, file *os.File, kind Kind, c Config) (*handle, error) {
	t, err := tableOver(mem, kind, "")
	if err != nil {
		return nil, err
	}
	if file == nil {
		return nil, fault.New(fault.Invalid, "attach", "", errors.New("without a file nothing proves a death")).WithHint("pass the file that the memory is of, or any other that all open")
	}
	l, err := livesOf(file, "")
	if err != nil {
		return nil, err
	}
	return attach(t, l, nil, "", c)
}

// join finds a slot whose byte nobody holds, and moves in.
func (h *handle) join(label string) error {
	i, err := h.vacancy()
	if err != nil {
		return err
	}
	joined := false
	defer func() { // also by a fault
		if !joined {
			h.quitSlot(i)
		}
	}()
	h.me, h.who, h.slot = i, uint64(i)+1, h.slotAt(i)
	h.lock.bell, h.obj.bell = h.slot.lock, h.slot.obj
	if h.dirty(i) {
		h.clean(i)
	}
	pid, uid := whoAmI()
	h.slot.pid.Store(pid)
	h.slot.uid.Store(uid)
	for _, w := range []*atomic.Uint64{h.slot.amount, h.slot.token, h.slot.since, h.slot.waiting} {
		w.Store(0)
	}
	if label == "" {
		label = filepath.Base(os.Args[0])
	}
	putText(h.slot.label, label)
	for top := h.top.Load(); top < uint32(i+1) && !h.top.CompareAndSwap(top, uint32(i+1)); top = h.top.Load() {
	}
	if h.forget, err = remember(h.slot, h.cut != nil); err != nil {
		return err
	}
	h.announce()
	h.clock.retain()
	joined = true
	return nil
}

// quitSlot undoes what join has come to.
func (h *handle) quitSlot(i int) {
	if h.forget != nil {
		h.forget()
	}
	_ = h.lives.drop(i) // goes with the description, if not now
}

func (h *handle) vacancy() (int, error) {
	for i := range h.slots {
		ok, err := h.lives.take(i)
		if ok || err != nil {
			return i, err
		}
	}
	return 0, fault.New(fault.Exhausted, "attach", h.name, fmt.Errorf("all %d places are taken", h.slots)).WithHint("make it with more Participants, or share a handle between goroutines")
}

// announce tells all sleepers that there is another life to watch, or one less.
func (h *handle) announce() {
	h.members.Add(1)
	futex.Wake(h.members, math.MaxInt32)
}

// enterHandle keeps Close from pulling the memory away under a wait.
func (h *handle) enterHandle(op string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return h.errClosed(op)
	}
	h.inside.Add(1)
	return nil
}

// whyNotHeld tells who has closed the handle from who holds nothing.
func (h *handle) whyNotHeld(op string) error {
	if err := h.enterHandle(op); err != nil {
		return err
	}
	h.inside.Done()
	return h.notHeld(op)
}

// Close gives the handle up; what it still holds counts as held by one who
// died. Waits under way end with fault.Closed. It is idempotent.
func (h *handle) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.inside.Wait()
	h.burying.Lock()
	h.clock.release()
	h.forget()
	_ = h.safely(func() error { h.clean(h.me); return nil }) // what is gone needs no cleaning
	err := errors.Join(h.lives.drop(h.me), h.lives.close())
	h.burying.Unlock()
	// Whoever calls us from now on finds an object of nobody's, and that the
	// handle was closed.
	h.table = newTable(make([]byte, sizeFor(h.slots)), Shape{Kind: h.kind, Participants: h.slots, Count: int64(h.limit)})
	h.state.Store(flagBroken)
	h.flags.Store(flagShut)
	h.slot = h.slotAt(h.me)
	h.lock.bell, h.obj.bell = h.slot.lock, h.slot.obj
	if h.done != nil {
		err = errors.Join(err, h.done())
	}
	return err
}

// Stats are counters of a handle.
type Stats struct {
	// Late is how often a sleep was ended by its safety limit of a second, and
	// there was something to do. It stays 0 but for two deaths at one instant.
	Late uint64
}

// Stats returns the handle's counters.
func (h *handle) Stats() Stats { return Stats{Late: h.late.Load()} }

// ProofFile is the open file whose lock proves that the handle lives. A child
// that inherits it goes on holding what the handle holds when this process
// dies, until it has ended itself: so what the child does stays protected. It
// stays the handle's own: do not close it.
func (h *handle) ProofFile() *os.File { return h.lives.file }

func putText(ws []atomic.Uint64, text string) {
	b := make([]byte, len(ws)*8)
	copy(b, text)
	for i := range ws {
		ws[i].Store(uint64(b[i*8]) | uint64(b[i*8+1])<<8 | uint64(b[i*8+2])<<16 | uint64(b[i*8+3])<<24 |
			uint64(b[i*8+4])<<32 | uint64(b[i*8+5])<<40 | uint64(b[i*8+6])<<48 | uint64(b[i*8+7])<<56)
	}
}

func text(ws []atomic.Uint64) string {
	var b []byte
	for i := range ws {
		for v, n := ws[i].Load(), 0; n < 8; n, v = n+1, v>>8 {
			c := byte(v)
			if c == 0 {
				return string(b)
			}
			if c < ' ' || c > '~' {
				c = '?' // a peer wrote it, and people read it
			}
			b = append(b, c)
		}
	}
	return string(b)
}
