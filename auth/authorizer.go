// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"
	"os"

	"github.com/parley-ipc/parley/fault"
)

// Action is a verb that policy grants on a resource.
type Action string

// The actions. A transport asks for Connect; the others belong to the
// services above it.
const (
	Connect   Action = "connect"
	Call      Action = "call"
	Publish   Action = "publish"
	Subscribe Action = "subscribe"
	Enqueue   Action = "enqueue"
	Consume   Action = "consume"
	Read      Action = "read"
	Write     Action = "write"
	Lock      Action = "lock"
	Lease     Action = "lease"
	Signal    Action = "signal"
	Admin     Action = "admin"
)

// Actions returns every action, in the order of the constants.
func Actions() []Action {
	return []Action{Connect, Call, Publish, Subscribe, Enqueue, Consume, Read, Write, Lock, Lease, Signal, Admin}
}

// Authorizer decides whether id may do action on resource, such as
// "endpoint:shm://orders" or "rpc:/orders.v1.Orders/Get". It returns nil or
// an error for which errors.Is(err, fault.Denied) holds. The error's text is
// for our own log: a peer is told only that it was denied.
//
// Authorize is called from many goroutines and must not block for long.
type Authorizer interface {
	Authorize(ctx context.Context, id Identity, action Action, resource string) error
}

// AuthorizerFunc makes an Authorizer of a function.
type AuthorizerFunc func(ctx context.Context, id Identity, action Action, resource string) error

// Authorize calls f.
func (f AuthorizerFunc) Authorize(ctx context.Context, id Identity, action Action, resource string) error {
	return f(ctx, id, action, resource)
}

// OwnerOnly admits our own uid and root, and denies everyone else. It is what
// a nil Authorizer means.
type OwnerOnly struct{}

var _ Authorizer = OwnerOnly{}

// Authorize implements Authorizer.
func (OwnerOnly) Authorize(_ context.Context, id Identity, action Action, resource string) error {
	if IsOwner(id) {
		return nil
	}
	return fmt.Errorf("%w: %s may not %s %s: only the owner and root may, and no policy is loaded", fault.Denied, id, action, resource)
}

// IsOwner reports whether id is known to be our own uid or root. A name from
// a certificate or a token is never the owner, whatever uid stands beside it.
func IsOwner(id Identity) bool {
	if os.Geteuid() < 0 { // not a system with uids: Self is all there is
		return !id.HasUID && id.Name == selfName && id.Method != TLS && id.Method != Token
	}
	return id.HasUID && id.Name == "" && (id.UID == 0 || int(id.UID) == os.Geteuid())
}
