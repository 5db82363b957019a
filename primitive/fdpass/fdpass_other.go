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

// Read reads into p; on this system no files ever come with it.
func Read(c *net.UnixConn, p []byte) (int, []*os.File, error) {
	n, err := c.Read(p)
	return n, nil, err
}
