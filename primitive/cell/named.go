// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/filelock"
	"github.com/parley-ipc/parley/primitive/shm"
)

// Kind is the kind of segment (shm.NamedConfig) that a cell by name is.
const Kind = "cell"

// lifeCheck is how often a Watch asks whether the writer lives.
const lifeCheck = 200 * time.Millisecond

// NamedConfig says how a cell by name is used. Its zero value works.
type NamedConfig struct {
	Config

	// Across is the reader's: Watch waits for values across the ends of
	// writers, and tells of none.
	Across bool

	// Mode and Patience are those of shm.NamedConfig. A cell of mode 0644 can
	// be read by other users as USER@NAME.
	Mode     fs.FileMode
	Patience time.Duration
}

// NamedWriter is the writer of a cell by name, proven alive by a lock that the
// kernel holds for it. It is not safe for concurrent use.
type NamedWriter[T any] struct {
	seg *shm.Named
	w   *Writer[T]
}

// CreateNamed makes the cell called name, or becomes the writer of the one
// that is there: its value stays until the next Set, and its numbers go on. It
// is fault.InUse while another writer lives. The cell stays when the writer
// has gone, until the machine is started anew or shm.Unlink removes it. A
// cell of another type is fault.Protocol.
func CreateNamed[T any](ctx context.Context, name string, c NamedConfig) (*NamedWriter[T], error) {
	size, err := Size[T]()
	if err != nil {
		return nil, err
	}
	seg, err := shm.OpenNamed(ctx, name, shm.NamedConfig{
		Kind: Kind, Size: size, Mode: c.Mode, Patience: c.Patience,
		Init: func(b []byte) error {
			w, err := New[T](b, c.Config)
			if err == nil {
				err = w.Close() // as if a writer had just left it
			}
			return err
		},
	})
	if fault.KindOf(err) == fault.Invalid {
		err = typeError[T](ctx, name, c, err) // its size says less than its type
	}
	if err != nil {
		return nil, err
	}
	w := &NamedWriter[T]{seg: seg}
	if err := w.begin(); err != nil {
		return nil, errors.Join(err, seg.Close())
	}
	return w, nil
}

func (w *NamedWriter[T]) begin() error {
	if err := w.seg.Owner().TryLock(filelock.Exclusive); err != nil {
		if fault.KindOf(err) == fault.InUse {
			err = fault.New(fault.InUse, "create cell", w.seg.Name(), errors.New("its writer lives"))
		}
		return err
	}
	var err error
	if cut := w.seg.Do(func() { w.w, err = resume[T](w.seg.Bytes()) }); cut != nil {
		return cut
	}
	return about(w.seg.Name(), err)
}

// Set makes v the value and returns its sequence number, as Writer.Set does.
// It fails only if somebody has cut the cell's file short: fault.Protocol.
func (w *NamedWriter[T]) Set(v T) (seq uint64, err error) {
	err = w.seg.Do(func() { seq = w.w.Set(v) })
	return seq, err
}

// Current reports whether the name still stands for this cell: false after
// somebody has removed it, and then nobody finds its values any more.
func (w *NamedWriter[T]) Current() bool { return w.seg.Current() }

// Close tells readers that this writer sets no more, and makes room for the
// next. The last value stays. It is idempotent.
func (w *NamedWriter[T]) Close() error {
	if w.w.ended {
		return nil
	}
	var err error
	cut := w.seg.Do(func() { err = w.w.Close() })
	w.w.ended = true // even if the memory is gone
	return errors.Join(err, cut, w.seg.Close())
}

// NamedReader reads a cell by name. It is safe for concurrent use.
type NamedReader[T any] struct {
	seg    *shm.Named
	r      *Reader[T]
	across bool
}

// OpenNamed opens the cell called name, NAME or USER@NAME, for reading. There
// need be no writer: the last value is there. A name that is not there is
// fault.NotFound, a cell of another type fault.Protocol.
func OpenNamed[T any](ctx context.Context, name string, c NamedConfig) (*NamedReader[T], error) {
	s, err := shapeOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	seg, err := shm.OpenNamed(ctx, name, shm.NamedConfig{Kind: Kind, ReadOnly: true, Patience: c.Patience})
	if err != nil {
		return nil, err
	}
	r := &NamedReader[T]{seg: seg, across: c.Across}
	if cut := seg.Do(func() {
		if _, err = s.checkFirst(seg.Bytes()); err == nil {
			r.r, err = Open[T](seg.Bytes(), c.Config)
		}
	}); cut != nil {
		err = cut
	}
	if err != nil {
		return nil, errors.Join(about(name, err), seg.Close())
	}
	r.r.across = c.Across
	return r, nil
}

// Get returns the latest value and its number, in tens of nanoseconds. Before
// the first Set the error is fault.NotFound; fault.Unavailable if 64 copies in
// a row were overtaken by the writer; fault.Protocol if somebody has cut the
// file short.
func (r *NamedReader[T]) Get() (v T, seq uint64, err error) {
	var ok bool
	if err := r.seg.Do(func() { v, seq, ok = r.r.Get() }); err != nil {
		var none T
		return none, 0, err
	}
	switch {
	case ok:
		return v, seq, nil
	case seq == 0:
		return v, 0, fault.New(fault.NotFound, "get cell", r.seg.Name(), errors.New("no value has been set yet"))
	}
	return v, 0, fault.New(fault.Unavailable, "get cell", r.seg.Name(), errors.New("its writer was faster than 64 copies"))
}

// Watch returns the latest value as soon as its number is not after, like
// Reader.Watch. Unless NamedConfig.Across says otherwise it ends with io.EOF
// once the writer has closed the cell, and with fault.PeerDied once the writer
// has died, which it notices within a fifth of a second. A new writer may come
// after either: watch again. It is fault.NotFound once the name has been
// removed, or given to another cell: open it again.
func (r *NamedReader[T]) Watch(ctx context.Context, after uint64) (v T, seq uint64, err error) {
	for {
		slice, cancel := context.WithTimeout(ctx, lifeCheck)
		cut := r.seg.Do(func() { v, seq, err = r.r.Watch(slice, after) })
		cancel()
		if cut != nil {
			err = cut
		}
		if err == nil || errors.Is(err, io.EOF) || fault.KindOf(err) != fault.Timeout || ctx.Err() != nil {
			return v, seq, r.ended(ctx, err)
		}
		if err := r.look(); err != nil {
			if v, seq, gerr := r.Get(); gerr == nil && seq != after {
				return v, seq, nil // set before the end
			}
			return v, 0, err
		}
	}
}

func (r *NamedReader[T]) ended(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if cause := ctx.Err(); cause != nil {
		return fault.Wrap("watch cell", r.seg.Name(), cause)
	}
	return err
}

// look says why there is nothing to wait for, if so.
func (r *NamedReader[T]) look() error {
	if !r.seg.Current() {
		return fault.New(fault.NotFound, "watch cell", r.seg.Name(), errors.New("it was removed")).WithHint("open it again")
	}
	if r.across {
		return nil
	}
	lives, err := r.WriterLives()
	if err != nil || lives {
		return err
	}
	var ended bool
	if err := r.seg.Do(func() { ended = r.r.state.Load()&stateEnded != 0 }); err != nil {
		return err
	}
	if ended {
		return io.EOF
	}
	return fault.New(fault.PeerDied, "watch cell", r.seg.Name(), errors.New("its writer died"))
}

// WriterLives reports whether the cell has a writer now.
func (r *NamedReader[T]) WriterLives() (bool, error) { return r.seg.Owner().HeldElsewhere() }

// Late is Reader.Late.
func (r *NamedReader[T]) Late() uint64 { return r.r.Late() }

// Close ends every Watch and unmaps the cell. No Get may be under way. It is
// idempotent.
func (r *NamedReader[T]) Close() error { return errors.Join(r.r.Close(), r.seg.Close()) }

// typeError is what a reader of T finds, or, if it finds nothing, err.
func typeError[T any](ctx context.Context, name string, c NamedConfig, err error) error {
	r, rerr := OpenNamed[T](ctx, name, c)
	if rerr == nil {
		return errors.Join(err, r.Close())
	}
	if fault.KindOf(rerr) == fault.Protocol {
		return rerr
	}
	return err
}

// about puts the cell's name into an error about its memory.
func about(name string, err error) error {
	var e *fault.Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Addr = name
	if c.Kind == fault.Protocol && c.Hint != "" {
		c.Hint = fmt.Sprintf("%s, or remove the cell: parley cell rm %s", c.Hint, name)
	}
	return &c
}
