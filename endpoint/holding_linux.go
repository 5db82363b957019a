// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/boot"
	"github.com/parley-ipc/parley/primitive/filelock"
)

// holding is the entry that we own: its file, open and locked.
type holding struct {
	place place
	names names
	file  *os.File
	life  *filelock.Lock
	out   *publisher // nil until the entry is written
}

// maxSlots bounds the listeners of one runtime directory whose tcp or tls
// addresses share an entry's name: the same port in different network
// namespaces, or shared by SO_REUSEPORT.
const maxSlots = 256

// hold takes the first free entry and fills it in.
func (c *Claim) hold(ctx context.Context, n names) error {
	if c.place.entry == "" {
		return nil
	}
	first := c.place.entry
	for slot := 2; ; slot++ {
		err := c.holdEntry(ctx, n)
		if c.place.addr.Host == "" || slot > maxSlots || fault.KindOf(err) != fault.InUse {
			return err
		}
		c.place.entry = fmt.Sprintf("%s+%d%s", strings.TrimSuffix(first, entrySuffix), slot, entrySuffix)
	}
}

func (c *Claim) holdEntry(ctx context.Context, n names) error {
	for range maxReopens {
		s, err := c.place.openSlot(ctx, os.O_CREATE)
		if err != nil {
			return err
		}
		h := &holding{place: c.place, names: n, file: s.file, life: filelock.Region(s.file, lifeByte, 1)}
		if err := h.life.TryLock(filelock.Exclusive); err != nil {
			err = c.place.ownedBy(s.file, err)
			return errors.Join(err, s.close())
		}
		mine := ownFile(s.file)
		if mine {
			err = c.settle(h)
		}
		if mine && err == nil {
			h.out = publish(h.file, c.counters)
			c.keep = h
			return s.change.Unlock()
		}
		// Nobody has come to rely on it. Removed before it is unlocked, it is
		// never seen half-made.
		err = errors.Join(err, c.place.removeEntry(s.file), s.change.Unlock(), h.release())
		if err != nil {
			return err
		}
	}
	return fault.New(fault.InUse, "listen", c.place.addr.String(), fmt.Errorf("others keep replacing %s", c.place.entry))
}

// settle clears what a dead owner left and fills the entry in.
func (c *Claim) settle(h *holding) error {
	if !c.bound {
		if err := c.place.clear(); err != nil {
			return err
		}
	}
	if err := h.fill(c.bound); err != nil {
		return err
	}
	h.refer()
	return nil
}

// ownFile reports whether nobody but us (and root) can open or lock f. Root
// may come upon a dead owner's file of another uid, which it replaces.
func ownFile(f *os.File) bool {
	st, err := f.Stat()
	if err != nil {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || int(sys.Uid) != os.Geteuid() || sys.Nlink != 1 {
		return false
	}
	if st.Mode().Perm() != 0o600 { // a strange umask, or a file system that knows no modes
		_ = f.Chmod(0o600)
	}
	return true
}

// ownedBy turns a refused lock on life into an error that says who lives.
func (p place) ownedBy(f *os.File, err error) error {
	if fault.KindOf(err) != fault.InUse {
		return p.failed(err)
	}
	e, derr := readEntry(f)
	if derr != nil {
		return fault.New(fault.InUse, "listen", p.addr.String(), fmt.Errorf("the owner has not said who it is: %w", derr))
	}
	return fault.New(fault.InUse, "listen", p.addr.String(), fmt.Errorf("pid %d (%s) of uid %d has listened on %s since %s",
		e.pid, printable(e.executable), e.uid, printable(e.address), e.started.Format(time.RFC3339))).WithHint("stop it or choose another name")
}

// fill writes the entry. The blocks are reserved first, so that no later write
// of the counters finds the disk full.
func (h *holding) fill(inherited bool) error {
	if err := h.reserve(); err != nil {
		return h.place.failed(err)
	}
	e := entry{
		started: time.Now(), pid: uint32(os.Getpid()), uid: uint32(os.Geteuid()), boot: boot.ID(),
		scheme: h.place.addr.Scheme, address: h.place.addr.String(), executable: executable(),
	}
	if inherited {
		e.flags |= flagInherited
	}
	_, err := h.file.WriteAt(e.encode(), 0)
	if err == nil {
		_, err = h.file.WriteAt([]byte(entryMagic), 0)
	}
	return h.place.failed(err)
}

func (h *holding) reserve() error {
	if err := h.file.Truncate(entrySize); err != nil {
		return err
	}
	raw, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = unix.Fallocate(int(fd), 0, 0, entrySize) })
	if errors.Is(err, unix.EOPNOTSUPP) { // then encode's page of bytes, written next, is the reservation
		err = nil
	}
	return errors.Join(cerr, err)
}

// release removes the entry, if it still is the file at its path, while the
// lock is held; then it lets go.
func (h *holding) release() error {
	if h.out != nil {
		h.out.close()
	}
	err := h.place.removeEntry(h.file)
	h.unrefer()
	return errors.Join(err, h.life.Unlock(), h.file.Close())
}

func executable() string {
	exe, err := os.Executable()
	if err != nil {
		return "?"
	}
	return exe
}
