// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/auth"
)

// Peer is the other end of one connection, to be called over it whoever
// dialled: a server calls services that its client serves (ClientConfig.
// Services). It ends with the connection.
type Peer struct{ c *conn }

var _ grpc.ClientConnInterface = (*Peer)(nil)

// PeerFromContext returns the peer that has made the call whose handler has
// ctx. It is not there for a call over HTTP/2, which goes one way.
func PeerFromContext(ctx context.Context) (*Peer, bool) {
	s, ok := ctx.Value(servedKey{}).(*serverStream)
	if !ok {
		return nil, false
	}
	return &Peer{s.c}, true
}

// Identity says who the peer is.
func (p *Peer) Identity() auth.Identity { return p.c.t.Peer() }

// Done is closed when the connection has ended.
func (p *Peer) Done() <-chan struct{} { return p.c.done }

// Invoke implements grpc.ClientConnInterface.
func (p *Peer) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	var o callOptions
	if err := o.apply(opts); err != nil {
		return err
	}
	return unavailable(p.c.invoke(ctx, method, args, reply, &o, &extras{}))
}

// NewStream implements grpc.ClientConnInterface.
func (p *Peer) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	var o callOptions
	if err := o.apply(opts); err != nil {
		return nil, err
	}
	s, err := p.c.newStream(ctx, desc, method, &o, &extras{})
	return s, unavailable(err)
}

// unavailable is for a call that cannot be made on another connection.
func unavailable(err error) error {
	if errors.Is(err, errAgain) {
		return status.Error(codes.Unavailable, "the connection has ended or takes no more calls")
	}
	return err
}
