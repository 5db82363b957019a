// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package exec

import (
	"context"
	"errors"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Conn is the parent's side of a connection to a child. It needs Linux;
// elsewhere none can be made.
type Conn struct{ transport.FilePasser }

func unsupported(op, addr string) error {
	return fault.New(fault.Unsupported, op, addr, errors.New("exec: and stdio: need Linux"))
}

// Dial answers fault.Unsupported.
func Dial(_ context.Context, addr endpoint.Address, _ Config) (*Conn, error) {
	return nil, unsupported("dial", addr.String())
}

// Wait answers fault.Unsupported.
func (c *Conn) Wait(context.Context) error { return unsupported("wait", "") }

// Stdio answers fault.Unsupported.
func Stdio(context.Context, transport.DialConfig) (transport.Conn, error) {
	return nil, unsupported("open", "stdio:")
}

// ListenStdio answers fault.Unsupported.
func ListenStdio(_ context.Context, addr endpoint.Address, _ transport.ListenConfig) (transport.Listener, error) {
	return nil, unsupported("listen", addr.String())
}
