// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Stdio joins c with the program's own input and output, and closes c. The end
// of in is passed on with CloseWrite and reading goes on. After the end of c,
// an in that is a file or a pipe is still sent to its end, since the peer may
// have ended its own direction only; anything else, such as a terminal, ends
// with c. It returns nil after an orderly end.
//
// A read from in that cannot be interrupted, as of a terminal, does not keep
// Stdio from returning: its goroutine ends with that read, or the process.
func Stdio(ctx context.Context, c transport.Conn, in io.Reader, out io.Writer) error {
	s := side{"the peer", c}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()

	var over atomic.Bool // we have ended: what happens to input is no error
	sent := make(chan error, 1)
	go func() { sent <- input(s, in, &over) }()

	err := output(s, out)
	if err == nil && lasting(in) {
		select {
		case err := <-sent:
			return err
		case <-ctx.Done():
			err = fault.Wrap("relay", "", context.Cause(ctx))
		}
	}
	over.Store(true)
	_ = c.Close()
	interruptible := interrupt(in)
	if ctx.Err() != nil && err != nil {
		err = fault.Wrap("relay", "", context.Cause(ctx))
	}
	if interruptible {
		if serr := <-sent; err == nil {
			err = serr
		}
		return err
	}
	select {
	case serr := <-sent:
		if err == nil {
			err = serr
		}
	default: // it sits in a read
	}
	return err
}

// input sends what in has to say, then its end.
func input(s side, in io.Reader, over *atomic.Bool) error {
	done, spliceErr := s.fromFile(in, over.Load)
	if spliceErr != nil {
		return unlessOver(over, spliceErr)
	}
	buf := make([]byte, bufferSize)
	for {
		n, rerr := 0, io.EOF
		if !done {
			n, rerr = in.Read(buf)
		}
		if over.Load() {
			return nil
		}
		if n > 0 {
			if _, err := s.c.Write(buf[:n]); err != nil {
				return unlessOver(over, s.fail("write", err))
			}
		}
		if rerr == nil {
			continue
		}
		cerr := s.c.CloseWrite()
		if fault.KindOf(cerr) == fault.PeerDied {
			cerr = nil // all was sent, and nobody is there to learn that
		}
		if rerr != io.EOF { //nolint:errorlint // io.Reader's contract
			return unlessOver(over, fault.Wrap("read", "standard input", rerr))
		}
		if cerr != nil {
			return unlessOver(over, s.fail("close", cerr))
		}
		return nil
	}
}

func unlessOver(over *atomic.Bool, err error) error {
	if over.Load() {
		return nil
	}
	return err
}

// output prints what the peer says, to its end.
func output(s side, out io.Writer) error {
	if s.toFile(out) {
		return nil
	}
	buf := make([]byte, bufferSize)
	for {
		n, rerr := s.c.Read(buf)
		if n > 0 {
			if _, err := out.Write(buf[:n]); err != nil {
				return fault.Wrap("write", "standard output", err)
			}
		}
		switch {
		case rerr == io.EOF: //nolint:errorlint // io.Reader's contract
			return nil
		case rerr != nil:
			return s.fail("read", rerr)
		}
	}
}

// lasting reports whether in is worth waiting for when the peer has ended.
func lasting(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice == 0
}

// interrupt ends a read under way, if in lets us.
func interrupt(in io.Reader) bool {
	d, ok := in.(interface{ SetReadDeadline(time.Time) error })
	return ok && d.SetReadDeadline(time.Unix(1, 0)) == nil
}
