// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/filelock"
)

// part is a file that is not whole yet. Its lock is held from before anybody
// may take it for a leftover until it is renamed or removed.
type part struct {
	root   *os.Root
	f      *os.File
	name   string // of the partial file
	placed bool
}

// newPart creates a partial file for name. A sweeper may find it before it is
// locked and remove it: then the next try has another name.
func newPart(root *os.Root, name string) (*part, error) {
	for range 10 {
		var random [partRandom / 2]byte
		_, _ = rand.Read(random[:]) // never fails
		p := &part{root: root, name: partName(name, hex.EncodeToString(random[:]))}
		f, err := root.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p.f = f
		err = filelock.New(f).TryLock(filelock.Exclusive)
		if (err == nil || errors.Is(err, fault.Unsupported)) && p.named() {
			return p, nil
		}
		p.discard()
	}
	return nil, errors.New("no partial file could be created in ten tries")
}

// named reports whether the file still has its name.
func (p *part) named() bool {
	a, err := p.f.Stat()
	if err != nil {
		return false
	}
	b, err := p.root.Lstat(p.name)
	return err == nil && os.SameFile(a, b)
}

// finish gives the file its mode and its final name.
func (p *part) finish(o offer, opts ReceiveOptions) error {
	err := p.f.Chmod(o.mode)
	if err == nil && opts.Sync {
		err = p.f.Sync()
	}
	if err == nil {
		if opts.Force {
			err = p.root.Rename(p.name, o.name)
		} else {
			err = placeNew(p.root, p.name, o.name)
		}
	}
	if errors.Is(err, fs.ErrExist) && !opts.Force {
		return errExists(o.name)
	}
	if err != nil {
		return fault.Wrap("receive", o.name, err)
	}
	p.placed = true
	return nil
}

// discard closes the file and, unless it has its final name, removes it.
func (p *part) discard() {
	if !p.placed && p.named() {
		_ = p.root.Remove(p.name)
	}
	_ = p.f.Close()
}

// linkNew names a file without replacing another, where there is no rename
// that does.
func linkNew(root *os.Root, from, to string) error {
	if err := root.Link(from, to); err != nil {
		return err
	}
	return root.Remove(from)
}

// sweep removes partial files whose receivers are dead: nobody holds their
// locks.
func sweep(root *os.Root) {
	dir, err := root.Open(".")
	if err != nil {
		return
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if isPart(name) {
			sweepOne(root, name)
		}
	}
}

func sweepOne(root *os.Root, name string) {
	if info, err := root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return
	}
	f, err := root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	p := &part{root: root, f: f, name: name, placed: true}
	if filelock.New(f).TryLock(filelock.Exclusive) == nil {
		p.placed = false // nobody's: it goes
	}
	p.discard()
}
