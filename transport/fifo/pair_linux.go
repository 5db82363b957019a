// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/fifo"
)

// pair is the listener's view of the two pipes. Each peer gets a new pair, so
// that not a byte of one reaches the next.
type pair struct {
	c2s, s2c *fifo.FIFO
	r        *os.File // the reading end of c2s
	watch    *fifo.Watch
}

// publish makes a pair, opens it for reading, and gives it its names: c2s
// first, see dialler.try. The caller holds the claim, so nobody else does.
func publish(stem string) (*pair, error) {
	p := &pair{}
	if err := p.make(stem); err != nil {
		p.abandon()
		return nil, err
	}
	for _, suffix := range []string{toServer, toClient} {
		if err := rename(stem + suffix); err != nil {
			p.abandon()
			return nil, err
		}
	}
	return p, nil
}

// fresh is what a pipe's name has appended before it is published. A listener
// that is killed in between leaves it to the next one.
const fresh = ".new"

func (p *pair) make(stem string) (err error) {
	if p.c2s, err = mkfifo(stem + toServer); err != nil {
		return err
	}
	if p.s2c, err = mkfifo(stem + toClient); err != nil {
		return err
	}
	if p.r, err = p.c2s.Reader(); err != nil {
		return err
	}
	if p.watch, err = fifo.NewWatch(); err != nil {
		return err
	}
	return errors.Join(p.watch.Add(p.c2s, fifo.Opened|fifo.WriterClosed), p.watch.Add(p.s2c, fifo.Opened))
}

func mkfifo(path string) (*fifo.FIFO, error) {
	path += fresh
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := fifo.Make(path, 0o600)
	if err != nil {
		return nil, err
	}
	if uid, _ := f.Owner(); int(uid) != os.Geteuid() {
		return nil, errors.Join(fault.New(fault.Denied, "listen", path, fmt.Errorf("somebody put a fifo of uid %d in its place", uid)), f.Close())
	}
	return f, nil
}

// rename replaces a fifo of ours, and nothing else.
func rename(path string) error {
	if st, err := os.Lstat(path); err == nil && st.Mode()&fs.ModeNamedPipe == 0 {
		return fault.New(fault.InUse, "listen", path, errors.New("it is not a fifo")).WithHint("move it away or choose another address")
	}
	return os.Rename(path+fresh, path)
}

// close keeps r, which is the connection's.
func (p *pair) close() {
	for _, f := range []*fifo.FIFO{p.c2s, p.s2c} {
		if f != nil {
			_ = f.Close()
		}
	}
	if p.watch != nil {
		_ = p.watch.Close()
	}
}

func (p *pair) abandon() {
	p.close()
	if p.r != nil {
		_ = p.r.Close()
	}
}

// awaitPeer waits until somebody has opened c2s for writing.
func (p *pair) awaitPeer(ctx context.Context) (first []byte, err error) {
	for {
		came, first, err := fifo.Came(p.r)
		if came || err != nil {
			return first, err
		}
		if err := p.watch.Wait(ctx); err != nil {
			return nil, err
		}
	}
}

// spend marks the pair for a peer that did not do so itself.
func (p *pair) spend() error { return p.s2c.SetMode(0o600 | spent) }

// openWriter waits until the peer has s2c open for reading.
func (p *pair) openWriter(ctx context.Context) (*os.File, error) {
	for {
		w, err := p.s2c.Writer()
		if !errors.Is(err, fault.Unavailable) {
			return w, err
		}
		if fifo.Gone(p.r) {
			return nil, fault.New(fault.PeerDied, "accept", p.c2s.Path(), errors.New("the peer went before it had opened the other fifo"))
		}
		if err := p.watch.Wait(ctx); err != nil {
			return nil, err
		}
	}
}
