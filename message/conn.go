// SPDX-License-Identifier: Apache-2.0

package message

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
	"github.com/parley-ipc/parley/transport"
)

// Defaults of Config.
const (
	DefaultMaxSize   = 64 << 20
	DefaultMaxMemory = 1 << 30
	DefaultLinger    = time.Second
)

// Config bounds a Conn. Its zero value works.
type Config struct {
	// MaxSize is the largest message in bytes, sent or received. A larger one
	// is fault.TooLarge before anything is allocated for it. Default 64 MiB.
	MaxSize int

	// Spin says how receiving waits on a socket (transport.Spinner). Default
	// SpinAuto: while it pays.
	Spin transport.Spin

	// MaxFiles is the largest number of files that a received message may
	// carry, at most transport.MaxFiles, which is the default. Negative means
	// none: what a peer sends all the same is closed and breaks the connection.
	MaxFiles int

	// MaxMemory is the largest shared memory in bytes that is received. A
	// larger one breaks the connection with fault.TooLarge. Default 1 GiB.
	MaxMemory int

	// Quota bounds the shared memory that was received and is not yet closed.
	// Connections may share one. Default: one of 1 GiB for this connection.
	Quota *shm.Quota

	// LiveMemory accepts memory that its owner can still write, sealed against
	// everybody else: it may change while it is read, so copy before parsing.
	// Default: such memory breaks the connection with fault.Protocol.
	LiveMemory bool

	// InPlace receives messages in the transport's own memory, without a copy,
	// where the transport is a transport.Lender that lends to its reader: shm
	// with rings, and Trusted, for the peer can change them meanwhile. Such a
	// message must be released before the next can be received and before
	// Close returns. What the transport cannot lend whole, at most MaxLoan, is
	// copied as ever.
	InPlace bool

	// Linger bounds how long Close may take to say goodbye to a peer that does
	// not read, and over TCP to see the peer's end. Default 1 s.
	Linger time.Duration
}

func (c Config) withDefaults() Config {
	if c.MaxSize <= 0 {
		c.MaxSize = DefaultMaxSize
	}
	c.MaxSize = min(c.MaxSize, maxLength-memorySize)
	if c.MaxMemory <= 0 {
		c.MaxMemory = DefaultMaxMemory
	}
	if c.Quota == nil {
		c.Quota = &shm.Quota{}
	}
	switch {
	case c.MaxFiles < 0:
		c.MaxFiles = 0
	case c.MaxFiles == 0 || c.MaxFiles > transport.MaxFiles:
		c.MaxFiles = transport.MaxFiles
	}
	if c.Linger <= 0 {
		c.Linger = DefaultLinger
	}
	return c
}

// Conn exchanges whole messages with one peer. All its methods may be called
// from many goroutines at once: messages are never interleaved, those of one
// goroutine arrive in the order of its Sends, and each goes to one Receive.
type Conn struct {
	t      transport.Conn
	cfg    Config
	lender transport.Lender        // nil if t is none
	ctxR   transport.ContextReader // nil if t is none
	ctxW   transport.ContextWriter // nil if t is none

	framer   transport.Framer // nil if t is none, or moves no frames
	maxFrame int              // bytes of the largest message that it is asked to move; -1 without it

	w writer
	r reader

	closed chan struct{} // closed when Close begins

	mu      sync.Mutex
	closing bool           // guarded by mu: no greeter starts any more
	cut     bool           // guarded by mu: we gave a reason, so Close lets the peer read it
	greeter sync.WaitGroup // owned by Close

	closeOnce sync.Once
	closeErr  error
}

// NewConn makes a Conn of t and becomes its owner: nobody else reads, writes,
// closes t or sets its deadlines from then on. It does not wait for anything.
func NewConn(t transport.Conn, cfg Config) *Conn {
	c := &Conn{t: t, cfg: cfg.withDefaults(), closed: make(chan struct{})}
	if s, ok := t.(transport.Spinner); ok {
		s.SetSpin(cfg.Spin)
	}
	c.lender, _ = t.(transport.Lender)
	c.ctxR, _ = t.(transport.ContextReader)
	c.ctxW, _ = t.(transport.ContextWriter)
	c.w.c, c.w.watch.set = c, t.SetWriteDeadline
	c.r.c, c.r.watch.set = c, t.SetReadDeadline
	c.maxFrame = -1
	if f, ok := t.(transport.Framer); ok {
		c.framer, c.maxFrame = f, min(maxQuick-headerSize, c.cfg.MaxSize)
	}
	c.r.inPlace = c.cfg.InPlace && c.lender != nil
	c.w.passer, _ = t.(transport.FilePasser)
	if c.cfg.MaxFiles > 0 {
		c.r.passer = c.w.passer
		c.r.ctxPasser, _ = t.(transport.ContextFileReader)
	}
	return c
}

// Peer says who is on the other side. It never changes.
func (c *Conn) Peer() auth.Identity { return c.t.Peer() }

// CloseWrite says goodbye and ends our direction: the peer receives what was
// sent, then io.EOF. Receiving goes on. It waits for a Send under way and is
// idempotent.
func (c *Conn) CloseWrite(ctx context.Context) error {
	if !c.w.lock.acquire(ctx, c.closed) {
		return c.gaveUp(ctx, "close")
	}
	defer c.w.lock.release()
	if c.w.said {
		return nil
	}
	if err := c.w.goodbye(ctx, goodbye{}); err != nil {
		return c.explain(err)
	}
	return c.fail("close", c.t.CloseWrite())
}

// Close says goodbye, unless CloseWrite has, and closes the connection. It
// gives a Send under way, and the goodbye, Config.Linger. Everybody who waits
// in another method returns fault.Closed. It is idempotent.
//
// Over TCP, where closing with bytes of the peer unread, be it its preface,
// throws away what it has yet to read, Close first reads until the peer ends,
// up to Config.Linger. A peer that still sends by then, or whose bytes were
// never received on another transport, may see a cut connection instead of the
// goodbye.
func (c *Conn) Close() error { return c.close(goodbye{}) }

// CloseWith is Close with a reason, which the peer's Receive and Send return
// as their error; why is for people and cut at 255 bytes.
func (c *Conn) CloseWith(reason fault.Kind, why string) error {
	return c.close(goodbye{early: true, reason: reason, why: why})
}

func (c *Conn) close(g goodbye) error {
	c.closeOnce.Do(func() {
		c.mu.Lock()
		c.closing = true
		c.mu.Unlock()
		close(c.closed)
		c.sayGoodbye(g)
		c.mu.Lock()
		patient := c.cut || c.resets()
		c.mu.Unlock()
		if patient {
			c.linger()
		}
		c.closeErr = c.fail("close", c.t.Close())
		c.greeter.Wait()
		c.w.watch.close()
		c.r.close()
	})
	return c.closeErr
}

// sayGoodbye does its best for Config.Linger.
func (c *Conn) sayGoodbye(g goodbye) {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Linger)
	defer cancel()
	if !c.w.lock.acquire(ctx, nil) {
		return
	}
	defer c.w.lock.release()
	if c.w.goodbye(ctx, g) == nil && g.early {
		c.mu.Lock()
		c.cut = true
		c.mu.Unlock()
	}
}

// resets says whether closing with unread bytes drops our own on their way.
func (c *Conn) resets() bool {
	a := c.t.RemoteAddr()
	return a != nil && a.Network() == "tcp"
}

// linger reads what the peer still sends, until it ends or the time is up:
// closing with unread bytes makes some transports throw our goodbye away.
func (c *Conn) linger() {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Linger)
	defer cancel()
	_ = c.t.SetReadDeadline(longAgo) // whoever receives gives the lock back
	if !c.r.acquire(ctx, nil) {
		return
	}
	defer c.r.release()
	c.r.watch.close()
	if !errors.Is(c.r.err, io.EOF) { // else it has said that nothing will come
		drain(c.t, c.cfg.Linger)
	}
}

// greet sends the preface for a side that receives before it sends. It has a
// goroutine of its own because a transport without buffers would block until
// the peer reads.
func (c *Conn) greet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.greeter.Go(func() {
		if c.w.lock.acquire(context.Background(), c.closed) {
			defer c.w.lock.release()
			c.w.preface()
		}
	})
}
