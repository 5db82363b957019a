// SPDX-License-Identifier: Apache-2.0

package transporttest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/inproc"
	"github.com/parley-ipc/parley/transport/transporttest"
	"github.com/parley-ipc/parley/transport/unix"
)

// flaw is one thing wrong with a backend, the check that must find it, and a
// pattern of what the check must say.
type flaw struct {
	name, check, says string
	of                func() transporttest.Backend
	spoil             func(b *transporttest.Backend)
}

var flaws = []flaw{
	{"garbles", "Bytes", "checksum", sound, conns(func(c *conn) { c.write = c.garble })},
	{"interleaves", "WritersDoNotInterleave", "continues with one of writer", sound, conns(func(c *conn) { c.write = c.piecemeal })},
	{"half-close does nothing", "HalfClose", "Write after CloseWrite succeeded", sound, conns(func(c *conn) { c.closeWrite = func() error { return nil } })},
	{"half-close closes", "HalfClose", "after CloseWrite", sound, conns(func(c *conn) { c.closeWrite = c.Conn.Close })},
	{"no clean end", "EndOfStream", "want io.EOF", sound, conns(func(c *conn) { c.read = c.unclean })},
	{"no deadline", "ReadDeadline", "not within", sound, conns(func(c *conn) { c.setReadDeadline = c.deadlineWithin })},
	{"wrong timeout", "ReadDeadline", "want os.ErrDeadlineExceeded", sound, conns(func(c *conn) { c.read = c.wrongError })},
	{"close once only", "Closed", "Close: ", sound, conns(func(c *conn) { c.close = c.once() })},
	{"close does not unblock", "CloseUnblocks", "not within|want net.ErrClosed", sound, conns(func(c *conn) { c.close = func() error { return nil } })},
	{"another identity", "Identity", "sees", sound, conns(func(c *conn) { c.peer.UID++ })},
	{"loses a goroutine", "LeaksNothing", "unexpected goroutines", sound, conns(func(*conn) { go func() { select {} }() })},
	{"loses a descriptor", "LeaksNothing", "leaked: map.descriptor pipe", sound, conns(func(*conn) { lost = append(lost, pipes()...) })},
	{"drops files", "Files", "with \"", sound, conns(func(c *conn) { c.forgetful = true })},
	{"asks nobody", "Stranger", "want a closed connection", sound, listening(func(cfg *transport.ListenConfig) { cfg.Authorizer = everybody{} })},
	{"accept ignores context", "AcceptContext", "not within", sound, listeners(func(l *listener) { l.deaf = true })},
	{"keeps the name", "ListenAgain", "in use", sound, listeners(func(l *listener) { l.close = func() error { return nil } })},
	{"anybody may listen", "InUse", "listening on a live name", sound, func(b *transporttest.Backend) {
		l := b.Listen
		b.Listen = func(ctx context.Context, _ string, cfg transport.ListenConfig) (transport.Listener, error) {
			return l(ctx, b.Address(nil), cfg)
		}
	}},
	{"wrong kind", "DialNobody", "want unavailable", sound, func(b *transporttest.Backend) {
		d := b.Dial
		b.Dial = func(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
			c, err := d(ctx, addr, cfg)
			if err != nil {
				return nil, errors.New(err.Error())
			}
			return c, nil
		}
	}},
	{"death looks orderly", "Kill", "took a killed peer for an orderly end", mortal, func(b *transporttest.Backend) { b.DeathIsError = true }},
}

// mortal is a backend between processes.
func mortal() transporttest.Backend {
	b := sound()
	b.Name, b.OneProcess = "unix", false
	b.Address = func(t testing.TB) string { return "unix://" + filepath.Join(t.TempDir(), "s") }
	b.Listen = func(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
		a, err := endpoint.Parse(addr)
		if err != nil {
			return nil, err
		}
		return unix.Listen(ctx, a, cfg)
	}
	b.Dial = func(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
		a, err := endpoint.Parse(addr)
		if err != nil {
			return nil, err
		}
		return unix.Dial(ctx, a, cfg)
	}
	return b
}

var lost []*os.File

func pipes() []*os.File {
	r, w, err := os.Pipe()
	if err != nil {
		return nil
	}
	return []*os.File{r, w}
}

type everybody struct{}

func (everybody) Authorize(context.Context, auth.Identity, auth.Action, string) error { return nil }

// conns spoils every connection.
func conns(spoil func(c *conn)) func(b *transporttest.Backend) {
	return func(b *transporttest.Backend) {
		dial := b.Dial
		b.Dial = func(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
			c, err := dial(ctx, addr, cfg)
			if err != nil {
				return nil, err
			}
			return newConn(c, spoil), nil
		}
		listeners(func(l *listener) { l.spoil = spoil })(b)
	}
}

// listeners spoils every listener.
func listeners(spoil func(l *listener)) func(b *transporttest.Backend) {
	return func(b *transporttest.Backend) {
		listen := b.Listen
		b.Listen = func(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
			l, err := listen(ctx, addr, cfg)
			if err != nil {
				return nil, err
			}
			s := &listener{Listener: l, close: l.Close}
			spoil(s)
			return s, nil
		}
	}
}

// listening spoils what a listener is told.
func listening(spoil func(cfg *transport.ListenConfig)) func(b *transporttest.Backend) {
	return func(b *transporttest.Backend) {
		listen := b.Listen
		b.Listen = func(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
			spoil(&cfg)
			return listen(ctx, addr, cfg)
		}
	}
}

type listener struct {
	transport.Listener
	spoil func(*conn)
	close func() error
	deaf  bool
}

func (l *listener) Close() error { return l.close() }

func (l *listener) AcceptConn(ctx context.Context) (transport.Conn, error) {
	if l.deaf {
		ctx = context.Background()
	}
	c, err := l.Listener.AcceptConn(ctx)
	if err != nil || l.spoil == nil {
		return c, err
	}
	return newConn(c, l.spoil), nil
}

// conn is a connection of which each part can be replaced.
type conn struct {
	transport.Conn
	peer            auth.Identity
	read, write     func([]byte) (int, error)
	close           func() error
	closeWrite      func() error
	setReadDeadline func(time.Time) error
	forgetful       bool
}

func newConn(inner transport.Conn, spoil func(*conn)) *conn {
	c := &conn{Conn: inner, peer: inner.Peer(), read: inner.Read, write: inner.Write, close: inner.Close,
		closeWrite: inner.CloseWrite, setReadDeadline: inner.SetReadDeadline}
	spoil(c)
	return c
}

func (c *conn) Peer() auth.Identity                  { return c.peer }
func (c *conn) Read(p []byte) (int, error)           { return c.read(p) }
func (c *conn) Write(p []byte) (int, error)          { return c.write(p) }
func (c *conn) Close() error                         { return c.close() }
func (c *conn) CloseWrite() error                    { return c.closeWrite() }
func (c *conn) SetReadDeadline(t time.Time) error    { return c.setReadDeadline(t) }
func (c *conn) passer() (transport.FilePasser, bool) { p, ok := c.Conn.(*inproc.Conn); return p, ok }

func (c *conn) WriteFiles(p []byte, files []*os.File) (int, error) {
	if inner, ok := c.passer(); ok {
		return inner.WriteFiles(p, files)
	}
	return 0, fault.Unsupported
}

func (c *conn) ReadFiles(p []byte) (int, []*os.File, error) {
	inner, ok := c.passer()
	if !ok {
		return 0, nil, fault.Unsupported
	}
	n, files, err := inner.ReadFiles(p)
	if c.forgetful && len(files) > 1 {
		_ = files[0].Close()
		files = files[1:]
	}
	return n, files, err
}

func (c *conn) garble(p []byte) (int, error) {
	if len(p) > 1<<20 {
		p = append([]byte(nil), p...)
		p[1<<20] ^= 1
	}
	return c.Conn.Write(p)
}

func (c *conn) piecemeal(p []byte) (int, error) {
	total := 0
	for total < len(p) {
		n, err := c.Conn.Write(p[total:min(total+100, len(p))])
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (c *conn) unclean(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// deadlineWithin forgets the deadline.
func (c *conn) deadlineWithin(time.Time) error {
	return c.Conn.SetReadDeadline(time.Time{})
}

func (c *conn) wrongError(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = net.ErrClosed
	}
	return n, err
}

func (c *conn) once() func() error {
	closed := false
	return func() error {
		if closed {
			return net.ErrClosed
		}
		closed = true
		return c.Conn.Close()
	}
}
