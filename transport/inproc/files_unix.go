// SPDX-License-Identifier: Apache-2.0

//go:build unix

package inproc

import (
	"os"

	"golang.org/x/sys/unix"
)

// duplicate makes copies that the caller's own Close does not touch.
func duplicate(files []*os.File) ([]*os.File, error) {
	var copies []*os.File
	for _, f := range files {
		d, err := duplicateOne(f)
		if err != nil {
			closeFiles(copies)
			return nil, err
		}
		copies = append(copies, d)
	}
	return copies, nil
}

func duplicateOne(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	if err := raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("fcntl", dupErr)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
