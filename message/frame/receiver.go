// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/primitive/shm"
	"github.com/parley-ipc/parley/transport"
)

// DefaultMaxMemory is ReceiverConfig's.
const DefaultMaxMemory = 1 << 30

// ReceiverConfig bounds what an owner may cost. The zero value works.
type ReceiverConfig struct {
	// MaxMemory is how many bytes of frames are mapped at most, all together.
	// More end the receiver's connection with fault.Exhausted. Default 1 GiB.
	MaxMemory int

	// MaxFrames is how many frames are mapped at most: each costs a descriptor.
	// Default, and most, the constant MaxFrames.
	MaxFrames int
}

// Receiver is the other end of a Link. All methods may be called from many
// goroutines at once.
type Receiver struct {
	conn *message.Conn  // immutable
	cfg  ReceiverConfig // immutable

	mu   sync.Mutex
	maps map[uint32]*mapping // guarded by mu; nil once closed
}

// mapping is one frame's memory, mapped once for all its uses.
type mapping struct {
	mem   *shm.Memory // immutable
	bytes []byte      // immutable
	lent  bool        // guarded by Receiver.mu
}

// NewReceiver makes a receiver over t, which is its own from then on.
func NewReceiver(t transport.Conn, cfg ReceiverConfig) *Receiver {
	if cfg.MaxMemory <= 0 {
		cfg.MaxMemory = DefaultMaxMemory
	}
	if cfg.MaxFrames <= 0 || cfg.MaxFrames > MaxFrames {
		cfg.MaxFrames = MaxFrames
	}
	return &Receiver{cfg: cfg, maps: map[uint32]*mapping{}, conn: message.NewConn(t, message.Config{
		MaxSize: lendSize + MaxNote, LiveMemory: true,
		MaxMemory: cfg.MaxMemory, Quota: &shm.Quota{Max: int64(cfg.MaxMemory)},
	})}
}

// Receive waits for the next frame. io.EOF is the owner's orderly end. If ctx
// ends nothing is lost; any other error ends the receiver's connection.
func (r *Receiver) Receive(ctx context.Context) (*View, error) {
	m, err := r.conn.Receive(ctx)
	if err != nil {
		if k := fault.KindOf(err); k != fault.Timeout && k != fault.Canceled {
			_ = r.conn.CloseWith(k, "no more frames")
		}
		return nil, err
	}
	defer m.Release()
	v, err := r.view(m)
	if err != nil {
		_ = r.conn.CloseWith(fault.KindOf(err), "the rules of frames")
		return nil, err
	}
	return v, nil
}

// view believes nothing of m that it has not checked.
func (r *Receiver) view(m *message.Message) (*View, error) {
	l, err := decodeLend(m.Bytes())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.maps == nil {
		return nil, fault.New(fault.Closed, "receive frame", "", errors.New("the receiver was closed"))
	}
	f, err := r.find(l, m.Memory())
	if err != nil {
		return nil, err
	}
	if f.lent {
		return nil, broken("the owner sent frame %d, which is not released", l.number)
	}
	if l.length > uint64(len(f.bytes)) {
		return nil, broken("%d bytes of a frame of %d", l.length, len(f.bytes))
	}
	held, err := f.mem.Borrow()
	if err != nil {
		return nil, err
	}
	f.lent = true
	return &View{r: r, f: f, number: l.number, held: held, bytes: f.bytes[:l.length:l.length], note: append([]byte(nil), l.note...)}, nil
}

// find returns the mapping of l's frame; mem is the memory that came, or nil.
// The caller holds mu.
func (r *Receiver) find(l lend, mem *shm.Memory) (*mapping, error) {
	f := r.maps[l.number]
	if (l.op == opFirst) == (mem != nil) && (mem != nil) == (f == nil) && l.number < uint32(r.cfg.MaxFrames) {
		if f != nil {
			return f, nil
		}
		bytes, err := mem.Bytes()
		if err == nil {
			f = &mapping{mem: mem, bytes: bytes}
			r.maps[l.number] = f
			return f, nil
		}
		_ = mem.Close()
		return nil, err
	}
	if mem != nil {
		_ = mem.Close()
	}
	return nil, broken("frame %d, with memory %v, known %v, at most %d are allowed", l.number, mem != nil, f != nil, r.cfg.MaxFrames)
}

// Close closes the connection, with which the owner has everything back, and
// unmaps each frame once its View is released. It is idempotent.
func (r *Receiver) Close() error {
	err := r.conn.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.maps {
		_ = f.mem.Close()
	}
	r.maps = nil
	return err
}

// View is the receiver's hold on one frame, from Receive to Release.
type View struct {
	r      *Receiver
	f      *mapping
	number uint32
	bytes  []byte
	note   []byte
	held   *shm.Memory // keeps it mapped; guarded by r.mu, nil once released
}

// Bytes is what was sent, read-only: a write ends the program. It is valid
// until Release. An honest owner leaves it alone until then; any other can
// change it under the reader's eyes, so copy what is parsed.
func (v *View) Bytes() []byte { return v.bytes }

// Note is what came with the frame. It is the caller's.
func (v *View) Note() []byte { return v.note }

// Release gives the frame back to its owner. It is idempotent. If it fails,
// ctx having ended included, the connection is closed, and so the owner has
// all frames back.
func (v *View) Release(ctx context.Context) error {
	r := v.r
	r.mu.Lock()
	held, open := v.held, r.maps != nil
	if held == nil {
		r.mu.Unlock()
		return nil
	}
	v.held = nil
	v.f.lent = false // before the owner can send it again
	r.mu.Unlock()
	_ = held.Close()
	if !open {
		return nil
	}
	if err := r.conn.Send(ctx, encodeRelease(v.number)); err != nil {
		_ = r.conn.Close()
		return fmt.Errorf("release frame: %w", err)
	}
	return nil
}
