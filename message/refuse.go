// SPDX-License-Identifier: Apache-2.0

package message

import (
	"time"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// refuseTime bounds Refuse.
const refuseTime = time.Second

// Refuse tells the peer of t that it is denied: its Receive, or the Send that
// fails, returns fault.Denied. It has the shape of
// transport.ListenConfig.Refuse, takes at most a second, and leaves t to be
// closed by the caller.
func Refuse(t transport.Conn) {
	if t.SetDeadline(time.Now().Add(refuseTime)) != nil {
		return
	}
	b := appendGoodbye(appendPreface(nil), goodbye{early: true, reason: fault.Denied})
	if _, err := t.Write(b); err != nil || t.CloseWrite() != nil {
		return
	}
	drain(t, refuseTime)
}

// drain reads and forgets what the peer sends, until it ends or the time is
// up.
func drain(t transport.Conn, limit time.Duration) {
	end := time.Now().Add(limit)
	if t.SetReadDeadline(end) != nil {
		return
	}
	buf := getBuffer(maxRead)
	defer putBuffer(buf)
	for time.Now().Before(end) {
		if _, err := t.Read(buf.b); err != nil {
			return
		}
	}
}
