// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/tcp"
)

const bufferSize = 64 << 10

// side is a connection and what errors call it.
type side struct {
	name string
	c    transport.Conn
}

func (s side) fail(doing string, err error) error {
	addr := s.c.Peer().String()
	if a := s.c.RemoteAddr(); a != nil && a.String() != "" && a.String() != "@" { // a socket without a name
		addr = a.String()
	}
	return fault.Wrap("relay", addr, fmt.Errorf("side %s failed to %s: %w", s.name, doing, err))
}

// refused is a failure to write: the other direction may still have bytes to
// bring.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

func (s side) refuse(doing string, err error) error { return refused{s.fail(doing, err)} }

// pump is one direction.
type pump struct{ src, dst side }

// run copies until src ends, and passes the end on.
func (p pump) run() error {
	if err := p.copy(); err != nil {
		return err
	}
	if err := p.dst.c.CloseWrite(); err != nil {
		return p.dst.refuse("close", err)
	}
	return nil
}

func (p pump) copy() error {
	from, _ := p.src.c.(transport.FilePasser)
	to, _ := p.dst.c.(transport.FilePasser)
	if from != nil {
		return p.withFiles(from, to)
	}
	if p.src.netSplices(p.dst) {
		return p.fast()
	}
	if done, err := p.spliced(); done || err != nil {
		return err
	}
	_, r := p.dst.c.(io.ReaderFrom)
	_, w := p.src.c.(io.WriterTo)
	if r || w {
		return p.fast()
	}
	return p.plain()
}

// netSplices reports whether both are TCP sockets, between which net does it.
func (s side) netSplices(dst side) bool {
	_, r := s.c.(*tcp.Conn)
	_, w := dst.c.(*tcp.Conn)
	return r && w
}

// fast lets the connections move the bytes by themselves.
func (p pump) fast() error {
	_, err := io.Copy(p.dst.c, p.src.c)
	var op *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &op) && op.Op == "read":
		return p.src.fail("read", err)
	}
	return p.dst.refuse("write", err)
}

func (p pump) plain() error {
	buf := make([]byte, bufferSize)
	for {
		if ended, err := p.onePlain(buf); ended || err != nil {
			return err
		}
	}
}

// withFiles is plain with open files. A connection of such a transport may
// still carry none: it says fault.Unsupported before anything is read. Where
// to is nil, files end the copy, after the bytes that came with them.
func (p pump) withFiles(from, to transport.FilePasser) error {
	buf := make([]byte, bufferSize)
	for {
		n, files, rerr := from.ReadFiles(buf)
		if n == 0 && errors.Is(rerr, fault.Unsupported) {
			return p.plain()
		}
		if len(files) > 0 && to == nil {
			closeAll(files)
			if _, err := p.dst.c.Write(buf[:n]); err != nil {
				return p.dst.refuse("write", err)
			}
			return p.noFiles()
		}
		if n > 0 {
			if err := forward(p.dst.c, to, buf[:n], files); err != nil {
				return p.dst.refuse("write", err)
			}
		}
		if errors.Is(rerr, io.EOF) {
			return nil
		}
		if rerr != nil {
			return p.src.fail("read", rerr)
		}
	}
}

// noFiles is an error of dst's, which src could do nothing about.
func (p pump) noFiles() error {
	return fault.Wrap("relay", p.dst.c.Peer().String(),
		fault.New(fault.Unsupported, "relay files", "", fmt.Errorf("side %s sent open files, which side %s cannot carry", p.src.name, p.dst.name)).
			WithHint("use unix or shm on both sides, or send no files"))
}

func forward(dst io.Writer, to transport.FilePasser, b []byte, files []*os.File) (err error) {
	if len(files) == 0 {
		_, err = dst.Write(b)
		return err
	}
	_, err = to.WriteFiles(b, files)
	closeAll(files)
	return err
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
