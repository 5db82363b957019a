// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// clear makes room at p.path: it removes a socket on which nobody listens, or
// fifos of ours. The caller owns the name, so that they are a dead owner's or
// its own. What answers, and what is neither, stays and is an error.
func (p place) clear() error {
	if p.path == "" {
		return nil
	}
	if p.addr.Scheme != FIFO {
		return p.clearSocket()
	}
	var errs []error
	for _, suffix := range fifoSuffixes {
		errs = append(errs, p.clearFIFO(p.path+suffix))
	}
	return errors.Join(errs...)
}

func (p place) clearSocket() error {
	st, err := os.Lstat(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return p.failed(err)
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return fault.New(fault.InUse, "listen", p.addr.String(), fmt.Errorf("%s is not a socket but %s", p.path, kindOfFile(st.Mode()))).
			WithHint("move it away or choose another address")
	}
	if err := p.probe(); err != nil {
		return err
	}
	return p.remove(p.path)
}

// probe connects to the socket: only a refusal proves that nobody listens.
func (p place) probe() error {
	c, err := net.DialTimeout("unix", p.path, time.Second)
	switch {
	case err == nil:
		_ = c.Close()
		return p.foreign("somebody who is not in the registry answers at %s", p.path)
	case refused(err), errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, os.ErrDeadlineExceeded): // its backlog is full
		return p.foreign("somebody who is not in the registry listens at %s, and is busy", p.path)
	case errors.Is(err, syscall.EPROTOTYPE):
		return p.foreign("a datagram socket of somebody who is not in the registry is at %s", p.path)
	}
	return p.failed(err)
}

func (p place) foreign(format string, args ...any) error {
	return fault.New(fault.InUse, "listen", p.addr.String(), fmt.Errorf(format, args...)).
		WithHint("stop it or choose another address")
}

func (p place) clearFIFO(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return p.failed(err)
	}
	if st.Mode()&fs.ModeNamedPipe == 0 {
		return fault.New(fault.InUse, "listen", p.addr.String(), fmt.Errorf("%s is not a fifo but %s", path, kindOfFile(st.Mode()))).
			WithHint("move it away or choose another address")
	}
	return p.remove(path)
}

func (p place) remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p.failed(err)
	}
	return nil
}

func kindOfFile(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "a regular file"
	case m.IsDir():
		return "a directory"
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a fifo"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
