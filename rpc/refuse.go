// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"io"

	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
	"github.com/parley-ipc/parley/transport/unix"
)

const maxPreface = 64 << 10 // that a peer may send before it has read our word

// refuse tells a peer that the listener has denied that it was denied, in the
// protocol in which it has begun to speak. Its time is bounded by t's deadline,
// and how many are told at once by the listener (transport.ListenConfig).
//
// What the peer sends meanwhile is read: a close before that would be an error
// of its next write, and on TCP take our word away from it.
func refuse(t transport.Conn) {
	b := make([]byte, sniffed)
	n, _ := io.ReadFull(t, b)
	u, local := t.(*unix.Conn)
	switch {
	case string(b[:n]) == rpcwire.Magic:
		_, _ = t.Write(rpcwire.Hello{Status: rpcwire.StatusDenied, Window: minWindow, Total: minWindow}.Append(nil))
	case string(b[:n]) == shm.Magic && local:
		shm.Refuse(u.Socket())
	case string(b[:n]) == http2Magic:
		refuseHTTP2(t)
	default:
		return
	}
	if t.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(t, maxPreface))
	}
}
