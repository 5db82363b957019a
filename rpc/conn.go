// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/transport"
)

// conn is one connection after its hello, on either side. Calls go both ways:
// streams that we opened are in ours, the peer's in theirs.
//
// A stream's number is its place in that table, so it is used again once its
// Close has been read: until then the callee still owes it.
type conn struct {
	t         transport.Conn
	dialled   bool
	limits    Limits
	hello     rpcwire.Hello // the peer's
	peer      *peer.Peer
	logger    *slog.Logger
	serves    *registry // what the peer may call; nil: nothing
	w         writer
	crew      crew
	onEnd     func()
	onAway    func()
	authority string
	owner     bool            // the peer is our own uid or root
	tagged    context.Context // of the connection, with what stats handlers hung on it

	// The reader's role, role.go. What is below it belongs to its holder.
	role    atomic.Int32
	waiters atomic.Int32
	takes   atomic.Uint32
	minding atomic.Bool
	minder  *time.Timer
	minded  atomic.Uint32
	heardOf int // streams that the last dispatchAll has woken
	in      []byte
	r, n    int
	lent    bool   // in is the transport's own memory, lent.go
	shelf   []byte // our own buffer meanwhile
	scratch []byte // for copies of what is lent
	brimful bool   // the last read has left no room
	landing landing
	sip     bool       // a part has landed: read the next one's head, and no more
	files   []*os.File // that no call has claimed yet
	unread  int        // bytes of messages for which the peer has no credit back yet
	total   int        // what it may still send
	methods []*method
	own     *clientStream // of the holder: its answer need not be copied
	clock   time.Time     // when the holder has looked at it since its last read; else zero
	answers atomic.Bool   // answers are queued and not yet sent
	lender  readLender    // nil: what comes is copied
	pledges sync.Mutex    // over the request of a handler that runs inline, where that is lent

	// Handlers that run where their call was read, inline.go.
	running  atomic.Pointer[serverStream]
	suspect  atomic.Pointer[serverStream]
	guarding atomic.Bool
	guard    *time.Timer

	// Whether the peer still lives, keepalive.go.
	pulse     *time.Timer
	heard     atomic.Uint64 // reads that brought something
	lastHeard atomic.Uint64 // what heard was at the last beat, or answer
	asked     atomic.Bool   // a question of ours is open

	held atomic.Int32 // files that came and that no handler has taken

	mu       sync.Mutex
	ours     []*clientStream // guarded by mu
	free     []uint32        // guarded by mu: places of ours that are free
	theirs   []*serverStream // guarded by mu
	orphans  []*serverStream // guarded by mu: theirs, once the connection has ended
	named    map[string]uint32
	room     *sync.Cond // guarded by mu
	closing  bool       // guarded by mu: no new streams of ours
	refusing bool       // guarded by mu: none of theirs
	busy     int        // guarded by mu: streams of both kinds
	idle     chan struct{}

	ended   atomic.Bool
	mute    atomic.Bool // nothing can be written any more
	done    chan struct{}
	err     error // written before done is closed
	endOnce sync.Once
}

var (
	errFlood  = errors.New("the peer sends without reading what it gets in return")
	errSlots  = fmt.Errorf("%w: a stream that cannot be", rpcwire.ErrFrame)
	errGoaway = errors.New("the connection takes no more calls")
)

const (
	firstBuffer = 16 << 10
	flowBuffer  = 64 << 10 // of a connection that has had more to read than firstBuffer
	wholeBuffer = rpcwire.HeadSize + rpcwire.MaxPayload
)

type connConfig struct {
	limits Limits
	serves *registry
	logger *slog.Logger
	spin   transport.Spin
}

func newConn(t transport.Conn, dialled bool, hello rpcwire.Hello, cfg connConfig) *conn {
	hello.Streams = min(hello.Streams, maxStreams)
	hello.Header = min(hello.Header, maxHeader)
	c := &conn{
		t: t, dialled: dialled, limits: cfg.limits, hello: hello, logger: cfg.logger, serves: cfg.serves,
		done:  make(chan struct{}),
		named: map[string]uint32{}, total: cfg.limits.ConnWindow,
	}
	c.room = sync.NewCond(&c.mu)
	c.peer = &peer.Peer{Addr: t.RemoteAddr(), LocalAddr: t.LocalAddr(), AuthInfo: t.Peer()}
	c.in = make([]byte, firstBuffer)
	if s, ok := t.(transport.Spinner); ok {
		s.SetSpin(cfg.spin)
	}
	c.owner = auth.IsOwner(t.Peer())
	c.w = writer{t: t, c: c, credit: int(hello.Total), born: time.Now(), lastSoon: -time.Hour}
	c.w.try, _ = t.(tryWriter)
	c.w.lend, _ = t.(tryLender)
	c.lender, _ = t.(readLender)
	_, c.w.cheap = t.(transport.Lender)
	c.w.quiet = sync.NewCond(&c.w.mu)
	c.minder = time.AfterFunc(time.Hour, c.mind)
	c.minder.Stop()
	c.guard = time.AfterFunc(time.Hour, c.patrol)
	c.guard.Stop()
	c.pulse = time.AfterFunc(time.Hour, c.beat)
	c.pulse.Stop()
	return c
}

// start makes somebody read.
func (c *conn) start() {
	c.someoneReads()
	c.keepAlive()
}

// fail ends the connection at once, and every call on it.
func (c *conn) fail(err error) {
	c.endOnce.Do(func() {
		c.err = err
		c.ended.Store(true)
		if errors.Is(err, rpcwire.ErrFrame) || errors.Is(err, errFlood) || errors.Is(err, errFiles) {
			c.logger.Warn("the peer broke the protocol", "who", c.t.Peer().String(), "pid", c.t.Peer().PID, "error", err)
		}
		c.minder.Stop()
		c.pulse.Stop() // but not the guard: close waits until it has relieved a handler that runs inline
		close(c.done)
		_ = c.t.Close()
		c.w.mu.Lock()
		if c.w.err == nil {
			c.w.err = err
		}
		if !c.w.busy {
			c.w.discard()
		}
		c.w.mu.Unlock()
		c.mu.Lock()
		c.closing = true
		ours, theirs := c.ours, c.theirs
		c.ours, c.theirs, c.orphans = nil, nil, theirs
		c.room.Broadcast()
		c.mu.Unlock()
		st, ok := status.FromError(err)
		if !ok {
			st = status.New(codes.Unavailable, "connection lost: "+err.Error())
		}
		for _, s := range ours {
			if s != nil {
				s.finish(st)
			}
		}
		for _, s := range theirs {
			if s != nil {
				s.cancel(context.Canceled)
			}
		}
		c.letGo()
		if c.onEnd != nil {
			c.onEnd()
		}
	})
}

// close ends the connection and waits for its own goroutines.
func (c *conn) close(err error) {
	c.fail(err)
	c.crew.wait()
}

// finish lets go of the connection when all that was queued has been sent and
// the peer has hung up, for which it has a moment: what it has sent meanwhile
// must not make the kernel throw away what it has not read yet.
func (c *conn) finish() {
	c.w.mu.Lock()
	c.w.flushUnlock(true)
	c.w.mu.Lock()
	for c.w.busy {
		c.w.quiet.Wait()
	}
	c.w.mu.Unlock()
	_ = c.t.CloseWrite()
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	}
	c.close(errGoaway)
}

// lastWords is how long a connection that can no longer be written is read.
const lastWords = time.Second

// cannotWrite ends the connection when what the peer has sent has been read:
// it may have answered before it closed.
func (c *conn) cannotWrite(err error) {
	if c.ended.Load() || !c.mute.CompareAndSwap(false, true) {
		return
	}
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	if c.onAway != nil {
		c.onAway()
	}
	c.someoneReads()
	time.AfterFunc(lastWords, func() { c.fail(err) })
}

// goAway asks the peer for no more calls, and returns a channel that is closed
// when none is under way.
func (c *conn) goAway() <-chan struct{} {
	c.mu.Lock()
	first := !c.refusing
	c.refusing = true
	if c.idle == nil {
		c.idle = make(chan struct{})
		if c.busy == 0 {
			close(c.idle)
		}
	}
	idle := c.idle
	c.mu.Unlock()
	if first {
		c.w.control(rpcwire.GoAway, 0, 0, nil)
	}
	return idle
}

// leave counts a stream out. The caller holds mu.
func (c *conn) leave() {
	c.busy--
	if c.busy == 0 && c.idle != nil {
		select {
		case <-c.idle:
		default:
			close(c.idle)
		}
	}
}

// enter gives a stream of ours its place, and waits for one if the peer takes
// no more calls at once.
func (c *conn) enter(ctx context.Context, s *clientStream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.free) == 0 && len(c.ours) >= int(c.hello.Streams) && !c.closing {
		c.waiters.Add(1)
		defer c.waiters.Add(-1)
		c.someoneReads()
		stop := context.AfterFunc(ctx, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.room.Broadcast()
		})
		for len(c.free) == 0 && !c.closing && ctx.Err() == nil {
			c.room.Wait()
		}
		stop()
		if err := ctx.Err(); err != nil {
			if len(c.free) > 0 { // whom it was signalled to, maybe us, does not take it
				c.room.Signal()
			}
			return err
		}
	}
	if c.closing {
		return errGoaway
	}
	var place uint32
	if n := len(c.free); n > 0 {
		place = c.free[n-1]
		c.free = c.free[:n-1]
		c.ours[place] = s
	} else {
		place = uint32(len(c.ours))
		c.ours = append(c.ours, s)
	}
	c.busy++
	s.id = (place+1)<<1 | c.side()
	return nil
}

// side is the lowest bit of our streams' numbers.
func (c *conn) side() uint32 {
	if c.dialled {
		return 1
	}
	return 0
}

// find returns the stream of ours with that number, or nil.
func (c *conn) find(id uint32) *clientStream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if place := id>>1 - 1; place < uint32(len(c.ours)) {
		return c.ours[place]
	}
	return nil
}

// remove takes a stream of ours out of the table: its Close has come.
func (c *conn) remove(id uint32) *clientStream {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := id>>1 - 1
	if place >= uint32(len(c.ours)) || c.ours[place] == nil {
		return nil
	}
	s := c.ours[place]
	c.ours[place] = nil
	c.free = append(c.free, place)
	c.leave()
	c.room.Signal()
	return s
}

// served returns the peer's stream with that number, or nil.
func (c *conn) served(id uint32) *serverStream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if place := id>>1 - 1; place < uint32(len(c.theirs)) {
		return c.theirs[place]
	}
	return nil
}

// admit gives a stream of the peer its place.
func (c *conn) admit(id uint32, s *serverStream) (refuse bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := id>>1 - 1
	if id < 2 || place >= uint32(c.limits.MaxStreams) || c.ended.Load() {
		return false, errSlots
	}
	for place >= uint32(len(c.theirs)) { // callers that began together may come in any order
		c.theirs = append(c.theirs, nil)
	}
	if c.theirs[place] != nil {
		return false, errSlots
	}
	if c.refusing {
		return true, nil
	}
	c.theirs[place] = s
	c.busy++
	return false, nil
}

// dismiss is called when the last frame for a stream of the peer is queued.
func (c *conn) dismiss(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if place := id>>1 - 1; place < uint32(len(c.theirs)) {
		c.theirs[place] = nil
		c.leave()
	}
}

func u32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
