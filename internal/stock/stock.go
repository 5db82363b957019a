// SPDX-License-Identifier: Apache-2.0

package stock

import (
	"context"
	"fmt"
	"net"
)

// Dial makes a connection to what Serve serves.
type Dial func(ctx context.Context) (net.Conn, error)

// Use is one library, both sides.
type Use struct {
	Name string

	// Serve serves l in the background, and returns what ends that, waits for
	// it and closes l.
	Serve func(l net.Listener) (stop func())

	// Call is a client's session of several calls, over at most conns
	// connections at once. It has hung up when it returns.
	Call func(ctx context.Context, dial Dial, conns int) error
}

// Uses returns every library.
func Uses() []Use {
	return []Use{
		{"http", serveHTTP, callHTTP},
		{"rpc", serveRPC, callRPC},
		{"grpc", serveGRPC, callGRPC},
	}
}

// Find returns the use of that name.
func Find(name string) (Use, error) {
	for _, u := range Uses() {
		if u.Name == name {
			return u, nil
		}
	}
	return Use{}, fmt.Errorf("no use %q", name)
}
