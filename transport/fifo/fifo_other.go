// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package fifo

import (
	"context"
	"errors"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// Conn is one connection over two named pipes. It needs Linux; elsewhere none
// can be made.
type Conn struct{ transport.Conn }

// Dial answers fault.Unsupported.
func Dial(_ context.Context, addr endpoint.Address, _ transport.DialConfig) (*Conn, error) {
	return nil, unsupported("dial", addr)
}

// Listen answers fault.Unsupported.
func Listen(_ context.Context, addr endpoint.Address, _ transport.ListenConfig) (transport.Listener, error) {
	return nil, unsupported("listen", addr)
}

func unsupported(op string, addr endpoint.Address) error {
	return fault.New(fault.Unsupported, op, addr.String(), errors.New("fifo:// needs Linux"))
}
