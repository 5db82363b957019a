// SPDX-License-Identifier: Apache-2.0

package unixconn

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"syscall"
	"time"

	"github.com/parley-ipc/parley/fault"
)

// Dial connects to the socket at path. addr is the address as the user wrote
// it, for the error. A listener whose backlog is full is asked again until ctx
// ends; one that is not there is fault.Unavailable.
func Dial(ctx context.Context, path, addr string) (*net.UnixConn, error) {
	var d net.Dialer
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		c, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			return c.(*net.UnixConn), nil
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil, dialError(ctx, addr, err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, dialError(ctx, addr, context.Cause(ctx))
		}
	}
}

func dialError(ctx context.Context, addr string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fault.Wrap("dial", addr, context.Cause(ctx))
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.Unavailable, "dial", addr, errors.New("nobody listens there: there is no socket")).WithHint("start the listener, or check the name with `parley ls`")
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.New(fault.Unavailable, "dial", addr, errors.New("nobody listens there: the socket is left over from a listener that ended")).WithHint("start the listener again")
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Denied, "dial", addr, err).WithHint("the socket's mode or directory lets only its owner in: share it through /run/parley (`parley setup`)")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fault.New(fault.Exhausted, "dial", addr, err).WithHint("raise `ulimit -n`, or close connections")
	}
	return fault.Wrap("dial", addr, err)
}
