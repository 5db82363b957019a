// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/filelock"
)

func (n names) removeStale(ctx context.Context, info Info) error {
	if !strings.HasSuffix(info.File, entrySuffix) {
		return fault.New(fault.Invalid, "remove", info.File, errors.New("it is no entry of the registry"))
	}
	dir := info.refDir
	if dir == "" {
		dir = filepath.Dir(info.File)
	}
	if err := asOwnerOf(dir, func() error { return remove(ctx, info) }); err != nil {
		return removeError(info, err)
	}
	return nil
}

func remove(ctx context.Context, info Info) error {
	p := place{addr: Address{Scheme: info.Scheme}, entry: info.File, path: info.Path}
	err := p.removeDead(ctx)
	if fault.KindOf(err) == fault.NotFound {
		err = nil // somebody else did it
	}
	if err == nil && info.refDir != "" {
		err = dropRef(info.refDir, info.File)
	}
	return err
}

// removeDead holds the change byte throughout: whoever wants the name has to
// wait for it, and then finds that the file it opened is gone.
func (p place) removeDead(ctx context.Context) error {
	s, err := p.openSlot(ctx, 0)
	if err != nil {
		return err
	}
	return errors.Join(p.removeSlot(s), s.close())
}

func (p place) removeSlot(s slot) error {
	live, err := filelock.Region(s.file, lifeByte, 1).HeldElsewhere()
	if err != nil {
		return err
	}
	if live {
		return fault.New(fault.InUse, "remove", p.entry, errors.New("its owner lives"))
	}
	e, err := readEntry(s.file)
	if err != nil && !errors.Is(err, errHalfWritten) {
		return err
	}
	// A half-written entry tells no scheme, and what stands beside it may be a
	// fifo or a socket; the socket of a service manager is its own.
	if e == nil || e.flags&flagInherited == 0 && e.scheme != TCP && e.scheme != TLS {
		if e != nil {
			p.addr.Scheme = e.scheme
		}
		if err := p.clear(); err != nil && fault.KindOf(err) != fault.InUse {
			return err
		}
	}
	return p.removeEntry(s.file)
}

func removeError(info Info, err error) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Kind == fault.InUse {
		return fault.New(fault.InUse, "remove", info.File, fmt.Errorf("its owner, pid %d, lives", info.PID))
	}
	return fault.New(fault.KindOf(err), "remove", info.File, err)
}
