// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rundir"
	"github.com/parley-ipc/parley/primitive/filelock"
)

// DefaultKind is the Kind of a NamedConfig that says none: bytes that mean
// something to their users only.
const DefaultKind = "segment"

// DefaultPatience is the Patience of a NamedConfig that says none.
const DefaultPatience = 5 * time.Second

// NamedConfig says what a named segment is. Its zero value opens what is
// there, of DefaultKind and any size, for reading and writing.
type NamedConfig struct {
	// Kind is what the bytes are: at most 15 lower-case letters. Names of
	// different kinds are different names.
	Kind string

	// Size is how many bytes there are. What is there must have as many; what
	// is not there is made. 0 takes any size, and makes nothing.
	Size int

	// Init fills in the zeros of a new segment. It runs once, and nobody can
	// open the segment before it has returned nil. If it fails, or its process
	// dies in it, the next one to open the name starts from zeros.
	Init func(b []byte) error

	// OpenOnly makes nothing: a name that is not there is fault.NotFound.
	OpenOnly bool

	// New refuses a segment that is there already: fault.InUse.
	New bool

	// ReadOnly maps for reading, makes nothing, and cannot lock.
	ReadOnly bool

	// Mode is the mode of a new segment's file; default 0600. Others can be
	// let in (0640, 0644, 0660, 0666) only where they can come: below
	// /run/parley. Whoever may open the file for reading may delay others who
	// open it; whoever may open it for writing may write anything into it and
	// cut it short: see Named.Do.
	Mode fs.FileMode

	// Access, if not nil, says who else may open the segment, where they can
	// come: below /run/parley. It is put into force at each opening by the
	// owner, also of what is there already, as an access list (ACL) of the file:
	// so the kernel asks, and no process has to be there. A file system that
	// keeps none is fault.Unsupported. Access that lets nobody in takes back what
	// an earlier one gave, and leaves a Mode alone; nil changes nothing. It
	// concerns who opens from then on: whoever has it open keeps it.
	Access *Access

	// Patience bounds the wait for somebody else who is making, opening or
	// removing the same name; default DefaultPatience. It ends with
	// fault.Timeout. A maker that died makes nobody wait.
	Patience time.Duration
}

// Named is a handle on a segment that has a name: a file in the runtime
// directory, mapped. Its methods may run at once, but none of them beside or
// after Close, and nor may Bytes be used then.
type Named struct {
	name    string
	kind    string
	path    string
	file    *os.File
	mem     []byte // header and bytes
	created bool
	write   bool
	reached bool // others may be let in
	use     *filelock.Lock
	owner   *filelock.Lock
}

// OpenNamed opens the segment called name, and makes it if c says its size and
// it is not there. name is NAME, or USER@NAME (a user's name or uid) for
// another user's, which is never made.
//
// A segment lasts until it is removed, or the machine is started anew; one of
// an earlier boot counts as not there. Who makes it, and whether Init has run,
// is decided under a lock that the kernel takes from the dead
// (docs/formats/segment.md), so any number of processes may open a name at
// once. Something else of that name is fault.Protocol, a wrong size
// fault.Invalid.
func OpenNamed(ctx context.Context, name string, c NamedConfig) (*Named, error) {
	return namedIn{}.open(ctx, name, c)
}

// Name is the name as it was opened.
func (n *Named) Name() string { return n.name }

// Kind is what the bytes are.
func (n *Named) Kind() string { return n.kind }

// Path is the segment's file.
func (n *Named) Path() string { return n.path }

// File is the segment's file, open as long as n is. Locks on its bytes from
// LockBase on are free for users of the segment's kind: filelock.Region. It
// must not be closed, truncated or written to.
func (n *Named) File() *os.File { return n.file }

// LockBase is the first byte of File that users of the segment may lock. Locks
// are on numbers: the file need not be that long.
const LockBase = 1 << 40

// Created reports whether this very call of OpenNamed made the segment.
func (n *Named) Created() bool { return n.created }

// Bytes is the shared memory, which begins at a multiple of 64 and is never a
// page of its own. It is read-only memory after ReadOnly: writing there ends
// the program.
func (n *Named) Bytes() []byte {
	size := len(n.mem) - headerSize
	return n.mem[headerSize : headerSize+size : headerSize+size]
}

// Owner is the lock by which a segment with one owner, such as a cell with its
// writer, proves that the owner lives. It is not held yet, and the caller's to
// take (exclusively) or to ask about (HeldElsewhere); Close gives it up. Each
// call returns the same lock.
func (n *Named) Owner() *filelock.Lock { return n.owner }

// Access is who may read and write the segment's file, beside its owner and
// root.
func (n *Named) Access() (Access, error) {
	a, err := n.access()
	if err != nil {
		return a, namedError("look at", n.name, n.kind, fault.KindOf(err), err)
	}
	return a, nil
}

// Reached says whether other users are let in, or may be at any time: whoever
// then touches Bytes outside of Do trusts them not to cut the file short.
func (n *Named) Reached() bool { return n.reached }

// Do runs f, which may touch Bytes. The file can be cut short by any process
// of the same uid, and by whoever its mode lets write; touching what is gone
// is then fault.Protocol instead of the end of the program. f must hold no lock
// that it would not give back while it panics, and start no goroutine that
// touches Bytes outside a Do of its own. Without an error in sight Do costs
// some fifteen nanoseconds.
func (n *Named) Do(f func()) (err error) { return n.guarded(f) }

// Current reports whether n still is what its name stands for: false once the
// segment was removed, be it that another has taken its place.
func (n *Named) Current() bool {
	a, err1 := n.file.Stat()
	b, err2 := os.Lstat(n.path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// Close unmaps the segment and gives up Owner. The segment stays, for others
// and for later. It is idempotent.
func (n *Named) Close() error {
	if n.mem == nil {
		return nil
	}
	mem := n.mem
	n.mem = nil
	// Explicitly: a forked child that has not yet called exec would keep them.
	return errors.Join(unmap(mem), n.owner.Unlock(), n.use.Unlock(), n.file.Close())
}

// A namedIn finds segments in runtime directories. Its zero value is what
// programs use; tests put other directories in.
type namedIn struct{ dirs rundir.Locator }

// checked returns c with its defaults.
func (c NamedConfig) checked() (NamedConfig, error) {
	if c.Kind == "" {
		c.Kind = DefaultKind
	}
	if c.Mode == 0 {
		c.Mode = 0o600
	}
	if c.Patience <= 0 {
		c.Patience = DefaultPatience
	}
	switch {
	case len(c.Kind) > maxKind || strings.Trim(c.Kind, "abcdefghijklmnopqrstuvwxyz") != "":
		return c, fmt.Errorf("the kind %q is not 1 to %d lower-case letters", c.Kind, maxKind)
	case c.Size < 0 || c.Size > maxNamed:
		return c, fmt.Errorf("%d bytes, at most %d", c.Size, maxNamed)
	case !slices.Contains([]fs.FileMode{0o600, 0o640, 0o644, 0o660, 0o666}, c.Mode):
		return c, fmt.Errorf("the mode %#o is none of 0600, 0640, 0644, 0660 and 0666", uint32(c.Mode))
	case c.New && (c.OpenOnly || c.ReadOnly || c.Size == 0):
		return c, errors.New("a new segment needs a size, and to be written")
	case c.Access != nil && c.ReadOnly:
		return c, errors.New("who opens for reading lets nobody in")
	}
	return c, nil
}

func (c NamedConfig) makes() bool { return c.Size > 0 && !c.OpenOnly && !c.ReadOnly }

// cutUser splits USER@NAME.
func cutUser(name string) (user, rest string, err error) {
	if user, rest, ok := strings.Cut(name, "@"); ok {
		if user == "" {
			return "", "", errors.New("there is no user before the @")
		}
		return user, rest, rundir.CheckName(rest)
	}
	return "", name, rundir.CheckName(name)
}

// baseName is the file's name; a kind has no dot, a name may.
func baseName(name, kind string) string { return name + "." + kind + namedSuffix }

func cutBase(base string) (name, kind string, ok bool) {
	stem, ok := strings.CutSuffix(base, namedSuffix)
	i := strings.LastIndexByte(stem, '.')
	if !ok || i <= 0 || i == len(stem)-1 {
		return "", "", false
	}
	return stem[:i], stem[i+1:], rundir.CheckName(stem[:i]) == nil
}

const namedSuffix = ".seg"

func namedError(op, name, kind string, fk fault.Kind, why error) *fault.Error {
	return fault.New(fk, op+" "+kind, name, why)
}
