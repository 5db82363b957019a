// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"log/slog"
	"time"

	"github.com/parley-ipc/parley/auth"
)

// Defaults of the fields below.
const (
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultMaxPending       = 128
)

// DialConfig is what every backend's Dial understands. Its zero value works.
type DialConfig struct {
	// HandshakeTimeout bounds everything between the connect and the first
	// byte of payload. Default 5 s; the context may end it sooner.
	HandshakeTimeout time.Duration

	// Logger gets what cannot be returned as an error. Default: discarded.
	Logger *slog.Logger
}

// ListenConfig is what every backend's Listen understands. Its zero value
// works.
type ListenConfig struct {
	// Authorizer is asked for auth.Connect on "endpoint:ADDRESS" once for
	// each connection. Default auth.OwnerOnly.
	Authorizer auth.Authorizer

	// Refuse, if set, may write a last word in the protocol that the listener
	// speaks to a peer that was denied. It has a second, then the connection
	// is closed. It must not tell the peer more than that it was denied. At
	// most half of MaxPending are told at once, the others just closed.
	Refuse func(Conn)

	// HandshakeTimeout bounds identification, handshake and authorization of
	// one connection. Default 5 s.
	HandshakeTimeout time.Duration

	// MaxPending bounds connections whose peer is not yet identified and
	// admitted, and for each identity those that are: in their handshake, or
	// ready and not yet taken by AcceptConn. Beyond the first, the kernel's
	// backlog holds them; beyond the second, eight times as many stand in line
	// and more are closed. Default 128.
	MaxPending int

	// Logger gets refused, broken and timed-out handshakes. Default: discarded.
	Logger *slog.Logger
}

// WithDefaults returns c with each zero field set to its default.
func (c DialConfig) WithDefaults() DialConfig {
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// WithDefaults returns c with each zero field set to its default.
func (c ListenConfig) WithDefaults() ListenConfig {
	if c.Authorizer == nil {
		c.Authorizer = auth.OwnerOnly{}
	}
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if c.MaxPending <= 0 {
		c.MaxPending = DefaultMaxPending
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
