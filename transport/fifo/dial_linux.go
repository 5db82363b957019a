// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/fifo"
	"github.com/parley-ipc/parley/transport"
)

const (
	toServer = ".c2s"
	toClient = ".s2c"

	// spent, a bit of s2c's mode, marks a pair that has had its peer. Both
	// sides set it before the first byte; it is never cleared, the listener
	// makes a new pair instead. Without it a dialler that comes just after
	// another's end would continue that one's stream.
	spent = fs.ModeSticky
)

// Dial connects to a fifo:// address. Nobody there is fault.Unavailable. While
// another peer is connected it is fault.InUse; if that one has just gone, Dial
// waits for the listener to make room, as long as ctx and the handshake time
// allow.
func Dial(ctx context.Context, addr endpoint.Address, cfg transport.DialConfig) (*Conn, error) {
	cfg = cfg.WithDefaults()
	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	stem, err := endpoint.DialPath(addr)
	if err != nil {
		return nil, err
	}
	for {
		if ctx.Err() != nil {
			return nil, fault.Wrap("dial", addr.String(), context.Cause(ctx))
		}
		d := &dialler{ctx: ctx, addr: addr, stem: stem}
		c, err := d.try()
		d.close()
		if !errors.Is(err, errReplaced) {
			return c, err
		}
	}
}

// errReplaced: the listener has made a new pair; look again.
var errReplaced = errors.New("the fifos were replaced")

// dialler is one look at the pair that the names mean now.
type dialler struct {
	ctx  context.Context
	addr endpoint.Address
	stem string

	s2c, c2s *fifo.FIFO
	watch    *fifo.Watch
}

func (d *dialler) close() {
	for _, f := range []*fifo.FIFO{d.s2c, d.c2s} {
		if f != nil {
			_ = f.Close()
		}
	}
	if d.watch != nil {
		_ = d.watch.Close()
	}
}

func (d *dialler) failed(err error) error { return fault.Wrap("dial", d.addr.String(), err) }

func (d *dialler) nobody(why string) error {
	return fault.New(fault.Unavailable, "dial", d.addr.String(), errors.New(why)).WithHint("start the listener first")
}

// try opens s2c before c2s: the listener publishes c2s first, so that one look
// never joins an old s2c that is unspent with a new c2s.
func (d *dialler) try() (*Conn, error) {
	var err error
	if d.s2c, err = d.find(toClient); err != nil {
		return nil, err
	}
	if d.c2s, err = d.find(toServer); err != nil {
		return nil, err
	}
	if mode, _, err := d.s2c.Mode(); err == nil && mode&spent != 0 {
		// Not even opened: the listener may be waiting for its peer to do so.
		return nil, d.awaitNewPair()
	}
	r, err := d.s2c.Reader()
	if err != nil {
		return nil, d.openError(err)
	}
	c, err := d.join(r)
	if err != nil {
		_ = r.Close() // and the lock with it
	}
	if errors.Is(err, errSpent) {
		err = d.awaitNewPair()
	}
	return c, err
}

// find refuses pipes through which somebody else might speak: the identity
// file-owner rests on the owner and the mode.
func (d *dialler) find(suffix string) (*fifo.FIFO, error) {
	f, err := fifo.Find(d.stem + suffix)
	if err != nil {
		if errors.Is(err, fault.NotFound) {
			return nil, d.nobody("nobody listens there: there is no " + d.stem + suffix)
		}
		return nil, d.openError(err)
	}
	owner, _ := f.Owner()
	mode, _, err := f.Mode()
	self := uint32(os.Geteuid())
	switch {
	case err != nil:
	case owner != self && owner != 0 && self != 0:
		err = fault.New(fault.Denied, "dial", d.addr.String(), fmt.Errorf("%s belongs to uid %d, not to us or root", f.Path(), owner))
	case mode.Perm()&0o077 != 0:
		err = fault.New(fault.Denied, "dial", d.addr.String(), fmt.Errorf("%s is open to others than its owner (mode %v)", f.Path(), mode.Perm())).
			WithHint("its owner can say chmod 600")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d *dialler) openError(err error) error {
	e := fault.New(fault.KindOf(err), "dial", d.addr.String(), err)
	if e.Kind == fault.Denied {
		return e.WithHint("a fifo lets in its owner and root only: use unix:// or shm:// between users")
	}
	return e
}

// noReader: a listener that lives has the pair open for as long as it has the
// names, so these are left over, unless they have just been replaced.
func (d *dialler) noReader() error {
	if _, named, err := d.c2s.Mode(); err == nil && !named {
		return errReplaced
	}
	return d.nobody("nobody listens there: the fifos are left over from a listener that ended")
}

// errSpent: this pair has had its peer, who is gone.
var errSpent = errors.New("the fifos are spent")

func (d *dialler) join(r *os.File) (*Conn, error) {
	locked, err := fifo.Lock(r)
	if err != nil {
		return nil, d.failed(err)
	}
	if !locked {
		return nil, d.inUse()
	}
	mode, named, err := d.s2c.Mode()
	switch {
	case err != nil:
		return nil, d.failed(err)
	case !named:
		return nil, errReplaced
	case mode&spent != 0:
		return nil, errSpent
	}
	if err := d.watchPair(fifo.Opened | fifo.Changed); err != nil {
		return nil, err
	}
	w, err := d.c2s.Writer()
	if errors.Is(err, fault.Unavailable) {
		return nil, d.noReader()
	}
	if err != nil {
		return nil, d.openError(err)
	}
	err = d.mark(w, mode)
	var first []byte
	if err == nil {
		first, err = d.awaitServer(r, w)
	}
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	c := &Conn{addr: d.addr, peer: identify(d.s2c), r: r, w: w}
	c.first.bytes = first
	return c, nil
}

// mark makes the pair ours, unless it holds bytes: of somebody who wrote
// without asking, as a shell does.
func (d *dialler) mark(w *os.File, mode fs.FileMode) error {
	_, err := fifo.Hold(w)
	if err == nil {
		err = d.s2c.SetMode(mode | spent)
	}
	n, berr := fifo.Buffered(w)
	if n > 0 {
		return errSpent
	}
	return d.failed(errors.Join(err, berr))
}

func (d *dialler) inUse() error {
	return fault.New(fault.InUse, "dial", d.addr.String(), errors.New("another peer is connected, and a fifo serves one at a time")).
		WithHint("wait for it to end, or use unix:// or shm://")
}

func identify(f *fifo.FIFO) auth.Identity {
	uid, gid := f.Owner()
	return auth.FromUID(auth.FileOwner, uid, gid)
}

// watchPair watches s2c for these events, and c2s for the listener's end.
func (d *dialler) watchPair(events fifo.Event) error {
	var err error
	if d.watch, err = fifo.NewWatch(); err != nil {
		return d.failed(err)
	}
	return d.failed(errors.Join(d.watch.Add(d.s2c, events), d.watch.Add(d.c2s, fifo.ReaderClosed)))
}

// awaitServer waits until the listener has opened its end of s2c, which it
// does once policy has let us in.
func (d *dialler) awaitServer(r, w *os.File) (first []byte, err error) {
	for {
		came, first, err := fifo.Came(r)
		if came || err != nil {
			return first, d.failed(err)
		}
		if fifo.Gone(w) {
			return nil, d.nobody("the listener refused the connection, or ended")
		}
		if err := d.watch.Wait(d.ctx); err != nil {
			return nil, d.failed(err)
		}
	}
}

// awaitNewPair waits until the names mean other pipes. It is an error if a peer
// is connected or nobody serves them: to see that, it opens c2s for an instant,
// which the listener's reader does not notice but as an end that comes a
// little later.
func (d *dialler) awaitNewPair() error {
	if d.watch != nil {
		_ = d.watch.Close()
	}
	if err := d.watchPair(fifo.Changed); err != nil {
		return err
	}
	for {
		if _, named, err := d.s2c.Mode(); err != nil || !named {
			return errReplaced
		}
		w, err := d.c2s.Writer()
		if errors.Is(err, fault.Unavailable) {
			return d.noReader()
		}
		if err != nil {
			return d.openError(err)
		}
		held, err := fifo.Held(w)
		_ = w.Close()
		if err != nil {
			return d.failed(err)
		}
		if held {
			return d.inUse()
		}
		if err := d.watch.Wait(d.ctx); err != nil {
			if fault.KindOf(err) == fault.Timeout {
				return fault.New(fault.InUse, "dial", d.addr.String(), errors.New("the listener still serves the peer before us, who is gone")).
					WithHint("try again, or use unix:// or shm://")
			}
			return d.failed(err)
		}
	}
}
