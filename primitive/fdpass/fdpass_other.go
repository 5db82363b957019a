// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package fdpass

import (
	"errors"
	"net"
	"os"

	"github.com/parley-ipc/parley/fault"
)

var errLinuxOnly = errors.New("passing files works on Linux only so far")

// Write writes all of p; files are unsupported on this system.
func Write(c *net.UnixConn, p []byte, files []*os.File) (int, error) {
	if err := check(p, files); err != nil {
		return 0, err
	}
	if len(files) > 0 {
		return 0, fault.New(fault.Unsupported, "pass files", "", errLinuxOnly)
	}
	return c.Write(p)
}

// Reader reads a socket's bytes; on this system no files ever come with them.
type Reader struct{ c *net.UnixConn }

// NewReader returns a Reader of c, which stays the caller's.
func NewReader(c *net.UnixConn) (*Reader, error) { return &Reader{c}, nil }

// Read reads into p.
func (r *Reader) Read(p []byte) (int, []*os.File, error) { return Read(r.c, p) }

// Read reads into p.
func Read(c *net.UnixConn, p []byte) (int, []*os.File, error) {
	n, err := c.Read(p)
	return n, nil, err
}
