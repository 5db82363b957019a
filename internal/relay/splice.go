// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/fifo"
	"github.com/parley-ipc/parley/transport"
)

// pieceSize is how much one splice may move: a pipe holds less.
const pieceSize = 1 << 20

// raw is a descriptor to splice from or to.
type raw struct {
	syscall.RawConn
	count func(n int)
	pipe  bool
}

// direction is one way between two descriptors; mid lies between them where
// neither is a pipe.
type direction struct {
	src, dst raw
	mid      *middle
}

type middle struct {
	in, out syscall.RawConn
	close   func()
}

func newMiddle() (*middle, error) {
	r, w, err := fifo.Pipe(0)
	if err != nil {
		return nil, err
	}
	m := &middle{close: func() { _, _ = r.Close(), w.Close() }}
	in, ierr := w.File().SyscallConn()
	out, oerr := r.File().SyscallConn()
	if err := errors.Join(ierr, oerr); err != nil {
		m.close()
		return nil, err
	}
	m.in, m.out = in, out
	return m, nil
}

// move is SpliceRaw where neither end is a pipe. n is what src has lost, which
// dst has unless there is an error.
func (m *middle) move(dst, src syscall.RawConn, count func(n int)) (n int, err error) {
	n, err = fifo.SpliceRaw(m.in, src, pieceSize)
	if err != nil {
		return n, err
	}
	return n, m.empty(dst, n, count)
}

func (m *middle) empty(dst syscall.RawConn, n int, count func(n int)) error {
	for n > 0 {
		moved, err := fifo.SpliceRaw(dst, m.out, n)
		count(moved)
		if err != nil {
			return err
		}
		n -= moved
	}
	return nil
}

// spliced moves bytes in the kernel until src ends, or says false, before it
// has moved any, where that cannot be done.
func (p pump) spliced() (done bool, err error) {
	from, _ := p.src.c.(transport.Splicer)
	to, _ := p.dst.c.(transport.Splicer)
	if from == nil || to == nil {
		return false, nil
	}
	buf := make([]byte, bufferSize)
	for first := true; ; first = false {
		d, ok := join(from, to)
		if ok {
			return d.run(p)
		}
		if !first { // nothing but bytes that wait for Read keeps it from being possible
			return false, nil
		}
		if done, err := p.onePlain(buf); done || err != nil {
			return true, err
		}
	}
}

func join(from, to transport.Splicer) (d direction, ok bool) {
	r, countIn, rok := from.ReadRaw()
	w, countOut, wok := to.WriteRaw()
	if !rok || !wok {
		return d, false
	}
	return direction{src: raw{r, countIn, isPipe(r)}, dst: raw{w, countOut, isPipe(w)}}, true
}

// isPipe reports whether a descriptor is that of a pipe, named or not.
func isPipe(r syscall.RawConn) bool {
	pipe := false
	_ = r.Control(func(fd uintptr) { pipe = pipeFD(fd) })
	return pipe
}

// run moves until the end. Errors are told of the side whose they are.
func (d direction) run(p pump) (bool, error) {
	if !d.src.pipe && !d.dst.pipe {
		mid, err := newMiddle()
		if err != nil {
			return false, nil //nolint:nilerr // plain copying needs no pipe
		}
		defer mid.close()
		d.mid = mid
	}
	for moved := false; ; moved = true {
		n, err := d.step(p)
		switch {
		case err == io.EOF: //nolint:errorlint // of our own
			return true, nil
		case !moved && n == 0 && unable(err):
			return false, nil
		case err != nil:
			return true, err
		}
	}
}

// unable is the kernel's word for descriptors that cannot be spliced.
func unable(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, fault.Unsupported)
}

func (d direction) step(p pump) (int, error) {
	if d.mid != nil {
		return d.twoSteps(p)
	}
	n, err := fifo.SpliceRaw(d.dst, d.src, pieceSize)
	d.src.count(n)
	d.dst.count(n)
	switch {
	case err == nil || err == io.EOF: //nolint:errorlint // of our own
		return n, err
	case d.src.pipe || errors.Is(err, syscall.EPIPE):
		return n, p.dst.refuse("write", err)
	}
	return n, p.src.fail("read", err)
}

func (d direction) twoSteps(p pump) (int, error) {
	n, err := fifo.SpliceRaw(d.mid.in, d.src, pieceSize)
	d.src.count(n)
	if err == io.EOF { //nolint:errorlint // of our own
		return 0, err
	}
	if err != nil {
		return 0, p.src.fail("read", err)
	}
	if err := d.mid.empty(d.dst, n, d.dst.count); err != nil {
		return n, p.dst.refuse("write", err)
	}
	return n, nil
}

// onePlain copies what one Read gives.
func (p pump) onePlain(buf []byte) (ended bool, err error) {
	n, rerr := p.src.c.Read(buf)
	if n > 0 {
		if _, err := p.dst.c.Write(buf[:n]); err != nil {
			return false, p.dst.refuse("write", err)
		}
	}
	if errors.Is(rerr, io.EOF) {
		return true, nil
	}
	if rerr != nil {
		return false, p.src.fail("read", rerr)
	}
	return false, nil
}

// fromFile splices in, if that is a pipe or a file, to c, until it ends or over
// is true; false is that nothing was moved and it cannot be done.
func (s side) fromFile(in io.Reader, over func() bool) (done bool, err error) {
	f, ok := in.(*os.File)
	to, isSplicer := s.c.(transport.Splicer)
	if !ok || !isSplicer {
		return false, nil
	}
	r, rerr := f.SyscallConn()
	w, count, wok := to.WriteRaw()
	if rerr != nil || !wok {
		return false, nil
	}
	fromPipe := isPipe(r)
	if !fromPipe && !isRegular(f) {
		return false, nil
	}
	move := func() (int, error) { n, err := fifo.SpliceRaw(w, r, pieceSize); count(n); return n, err }
	if !fromPipe && !isPipe(w) {
		mid, err := newMiddle()
		if err != nil {
			return false, nil //nolint:nilerr // plain copying needs no pipe
		}
		defer mid.close()
		move = func() (int, error) { return mid.move(w, r, count) }
	}
	for moved := false; ; moved = true {
		n, err := move()
		switch {
		case err == io.EOF || over(): //nolint:errorlint // of our own
			return true, nil
		case err != nil && !moved && n == 0 && unable(err):
			return false, nil
		case err != nil:
			return true, s.fail("write", err)
		}
	}
}

func isRegular(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode().IsRegular()
}

// toFile splices c to out, if that is a pipe, to its end. false is that the
// rest, which may be all, is to be copied.
func (s side) toFile(out io.Writer) (done bool) {
	f, ok := out.(*os.File)
	from, isSplicer := s.c.(transport.Splicer)
	if !ok || !isSplicer {
		return false
	}
	w, err := f.SyscallConn()
	if err != nil || !isPipe(w) {
		return false
	}
	for {
		r, count, rok := from.ReadRaw()
		if !rok {
			return false
		}
		n, err := fifo.SpliceRaw(w, r, pieceSize)
		count(n)
		switch {
		case err == io.EOF: //nolint:errorlint // of our own
			return true
		case err != nil:
			return false // copying meets it again and says whose fault it is
		}
	}
}
