// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/transport"
)

// http2Door is grpc-go's server for those who speak HTTP/2, with the same
// services, identity, policy, interceptors and stats handlers.
type http2Door struct {
	s     *Server
	once  sync.Once
	grpc  *grpc.Server
	conns chan net.Conn
	done  chan struct{} // closed by stop
	stops sync.Once
	wg    sync.WaitGroup
	mu    sync.Mutex
	ended bool
}

func newHTTP2Door(s *Server) *http2Door {
	return &http2Door{s: s, conns: make(chan net.Conn), done: make(chan struct{})}
}

// take leads a connection through the door. The first one builds it.
func (d *http2Door) take(t transport.Conn) error {
	d.mu.Lock()
	if d.ended {
		d.mu.Unlock()
		return ErrServerStopped
	}
	d.once.Do(d.build)
	d.mu.Unlock()
	select {
	case d.conns <- t:
		return nil
	case <-d.done:
		return ErrServerStopped
	}
}

func (d *http2Door) build() {
	cfg := d.s.cfg
	opts := []grpc.ServerOption{
		grpc.Creds(identified{}),
		grpc.MaxRecvMsgSize(cfg.Limits.MaxMessage),
		grpc.MaxSendMsgSize(cfg.Limits.MaxSendMessage),
		grpc.MaxConcurrentStreams(uint32(cfg.Limits.MaxStreams)),
		grpc.MaxHeaderListSize(uint32(cfg.Limits.MaxHeader)),
		grpc.ConnectionTimeout(cfg.Limits.HandshakeTimeout),
		grpc.KeepaliveEnforcementPolicy(cfg.KeepaliveEnforcement),
		grpc.WaitForHandlers(cfg.WaitForHandlers),
		grpc.ChainUnaryInterceptor(append([]grpc.UnaryServerInterceptor{d.unary}, cfg.UnaryInterceptors...)...),
		grpc.ChainStreamInterceptor(append([]grpc.StreamServerInterceptor{d.stream}, cfg.StreamInterceptors...)...),
	}
	if cfg.Limits.KeepaliveTime > 0 {
		opts = append(opts, grpc.KeepaliveParams(keepalive.ServerParameters{Time: cfg.Limits.KeepaliveTime, Timeout: cfg.Limits.KeepaliveTimeout}))
	}
	for _, h := range cfg.StatsHandlers {
		opts = append(opts, grpc.StatsHandler(h))
	}
	if cfg.UnknownServiceHandler != nil {
		opts = append(opts, grpc.UnknownServiceHandler(cfg.UnknownServiceHandler))
	}
	d.grpc = grpc.NewServer(opts...)
	d.s.registry.each(d.grpc.RegisterService)
	d.wg.Go(func() { _ = d.grpc.Serve(d) })
}

// stop ends the door.
func (d *http2Door) stop(gracefully bool) {
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	d.stops.Do(func() { close(d.done) })
	if d.grpc == nil {
		return
	}
	if gracefully {
		d.grpc.GracefulStop()
	} else {
		d.grpc.Stop()
	}
	d.wg.Wait()
}

// Accept, Close and Addr make the door a listener for grpc-go.
func (d *http2Door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *http2Door) Close() error {
	d.stops.Do(func() { close(d.done) })
	return nil
}

// Addr implements net.Listener.
func (d *http2Door) Addr() net.Addr { return &net.UnixAddr{Name: "parley", Net: "unix"} }

// unary checks the caller before anything else sees the call, and outlives a
// handler's panic.
func (d *http2Door) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	if ctx, err = d.authorize(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			reply, err = nil, d.panicked(info.FullMethod, p)
		}
	}()
	return handler(ctx, req)
}

func (d *http2Door) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	ctx, err := d.authorize(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = d.panicked(info.FullMethod, p)
		}
	}()
	return handler(srv, &withContext{ss, ctx})
}

func (d *http2Door) panicked(full string, p any) error {
	d.s.cfg.Logger.Error("panic in a handler", "method", full, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return status.Errorf(codes.Internal, "panic in the handler of %s", full)
}

type withContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (w *withContext) Context() context.Context { return w.ctx }

func (d *http2Door) authorize(ctx context.Context, full string) (context.Context, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ctx, errDenied(full)
	}
	who, ok := p.AuthInfo.(identity)
	if !ok {
		return ctx, errDenied(full)
	}
	md, _ := metadata.FromIncomingContext(ctx)
	id, err := d.s.registry.authorize(ctx, who.Identity, md, who.private, full)
	q := *p
	q.AuthInfo = id
	return peer.NewContext(ctx, &q), err
}

// identity is what identified knows of a connection.
type identity struct {
	auth.Identity
	private bool
}

// identified is grpc-go's view of a connection that has been secured and
// identified before it came here.
type identified struct{}

var errOneWay = errors.New("rpc: these credentials only serve")

func (identified) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	t, ok := c.(*prefixed)
	if !ok {
		return nil, nil, errOneWay
	}
	return c, identity{t.Peer(), private(t.Conn)}, nil
}

func (identified) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errOneWay
}

func (identified) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "parley"}
}

func (i identified) Clone() credentials.TransportCredentials { return i }

func (identified) OverrideServerName(string) error { return nil }
