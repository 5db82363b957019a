// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/engine/shared"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

// Engine hands out topics by name. Its methods may be called from many
// goroutines. Each engine satisfies it without importing this package.
type Engine interface {
	// Topic returns the topic of that name; see topic.CheckName. It costs
	// nothing, and a bad name is an error of what is done with it.
	Topic(name string) topic.Topic

	// TopicCapabilities say what its topics can do.
	TopicCapabilities() topic.Capabilities

	// Close closes what was handed out. It is idempotent.
	Close() error
}

var _ Engine = (*shared.Engine)(nil)

// Opener opens engines. Its zero value works.
type Opener struct {
	// Authorizer decides who may subscribe to what we publish, and what we
	// publish ourselves, where no daemon does: "topic:NAME". Default
	// auth.OwnerOnly.
	Authorizer auth.Authorizer

	// Logger gets what cannot be returned as an error. Default: discarded.
	Logger *slog.Logger
}

// Open opens the engine at an address such as mem://desk.
func Open(ctx context.Context, address string) (Engine, error) { return Opener{}.Open(ctx, address) }

// Open opens the engine at an address such as mem://desk.
func (o Opener) Open(ctx context.Context, address string) (Engine, error) {
	if !strings.HasPrefix(address, "mem:") {
		return nil, fault.New(fault.Invalid, "open", address, errors.New("no engine has this scheme")).WithHint("write mem://NAME")
	}
	addr, err := endpoint.Parse(address)
	if err != nil {
		return nil, err
	}
	e, err := shared.Open(ctx, addr, shared.Config{Authorizer: o.Authorizer, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	return e, nil
}
