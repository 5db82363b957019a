// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"math"
	"time"
)

// Limits bound what a peer may cost us. The zero value means the defaults.
type Limits struct {
	// MaxStreams is how many calls one peer may have under way on one
	// connection, those that it has cancelled but whose handlers still run
	// included. Default 1000.
	MaxStreams int

	// MaxMessage is the largest message that we take, in bytes. A call may say
	// otherwise for its answer (grpc.MaxCallRecvMsgSize). Default 4 MiB.
	MaxMessage int

	// MaxSendMessage is the largest message that we send, in bytes. Default
	// math.MaxInt32, as grpc-go.
	MaxSendMessage int

	// MaxHeader is how many bytes of metadata we take at once, at most 56 KiB.
	// Default 32 KiB.
	MaxHeader int

	// StreamWindow is how many bytes of messages a stream may have on the way
	// to us, and waiting for Recv. Default 4.5 MiB: a message of the default
	// MaxMessage never waits for it.
	StreamWindow int

	// ConnWindow is the same for all streams together, of what has not been
	// read from the transport. Default 16 MiB.
	ConnWindow int

	// HandshakeTimeout bounds what comes between a connection and its first
	// call. Default 5 s.
	HandshakeTimeout time.Duration

	// KeepaliveTime is how long a connection with calls under way may be
	// silent before we ask whether its peer is there. Default 20 s over tcp and
	// tls, never elsewhere: there the kernel tells.
	KeepaliveTime time.Duration

	// KeepaliveTimeout is how long the answer to that may take. Default 20 s.
	KeepaliveTimeout time.Duration
}

const (
	maxHeader  = 56 << 10
	maxStreams = 1 << 20
	maxName    = 4 << 10 // of a method's name: it is kept with its number
	maxFiles   = 1024    // open files of a peer's that no handler has taken
)

func orElse[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

func (l Limits) withDefaults() Limits {
	l.MaxStreams = min(orElse(l.MaxStreams, 1000), maxStreams)
	l.MaxMessage = min(orElse(l.MaxMessage, 4<<20), math.MaxInt32)
	l.MaxSendMessage = min(orElse(l.MaxSendMessage, math.MaxInt32), math.MaxInt32)
	l.MaxHeader = min(orElse(l.MaxHeader, 32<<10), maxHeader)
	l.StreamWindow = min(max(orElse(l.StreamWindow, 9<<19), minWindow), 1<<30)
	l.ConnWindow = min(max(orElse(l.ConnWindow, 16<<20), minWindow), 1<<30)
	l.HandshakeTimeout = orElse(l.HandshakeTimeout, 5*time.Second)
	l.KeepaliveTimeout = orElse(l.KeepaliveTimeout, 20*time.Second)
	return l
}

const minWindow = 144 << 10 // a part and its overhead
