// SPDX-License-Identifier: Apache-2.0

package child

import (
	"log/slog"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport/shm"
)

// ListenConfig is the child's side of a Config. Its zero value works.
type ListenConfig struct {
	// Protocols are the versions of the application's own protocol that this
	// program speaks; the parent's order decides. Default: 1.
	Protocols []uint32
	// Socket: talk over the socket, not through shared memory.
	Socket bool
	// Memory tunes the shared memory.
	Memory shm.Options
	// HandshakeTimeout bounds each handshake. Default 10 s.
	HandshakeTimeout time.Duration
	// Authorizer is asked for auth.Connect on "endpoint:unix://child-NAME" for
	// each parent that finds us later. Who started us is not asked for: it
	// chose what we are. Default auth.OwnerOnly.
	Authorizer auth.Authorizer
	// Logger gets what cannot be returned as an error. Default: discarded.
	Logger *slog.Logger
}

func (c ListenConfig) withDefaults() ListenConfig {
	if len(c.Protocols) == 0 {
		c.Protocols = []uint32{1}
	}
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if c.Authorizer == nil {
		c.Authorizer = auth.OwnerOnly{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func errNoParent(why error) error {
	return fault.New(fault.NotFound, "find parent", EnvFD, why).
		WithHint("this program is a plugin: it is to be started by its host, with child.Start")
}
