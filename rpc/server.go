// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/token"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/acceptor"
	"github.com/parley-ipc/parley/internal/turns"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/shm"
)

// ServerConfig is what a Server can be told. Its zero value works, and admits
// our own uid and root only.
type ServerConfig struct {
	// Authorizer is asked for auth.Call on "rpc:/package.Service/Method" before
	// a call's handler runs, and by ListenAndServe for auth.Connect. Default
	// auth.OwnerOnly.
	Authorizer auth.Authorizer

	// Tokens, if set, knows the tokens that calls may present as
	// "authorization: Bearer SECRET" over TLS or a local transport. Default:
	// the header means nothing to us.
	Tokens *token.Store

	// Listen is how ListenAndServe listens: certificates and so on.
	Listen parley.ListenConfig

	// SHM is how memory is shared with clients that ask for it on a unix
	// socket: ring size, spinning, trust, budget.
	SHM shm.Options

	// UnaryInterceptors and StreamInterceptors see every call, the first one
	// outermost, after its identity has been checked.
	UnaryInterceptors  []grpc.UnaryServerInterceptor
	StreamInterceptors []grpc.StreamServerInterceptor

	// StatsHandlers are told of calls and connections, of denied calls too.
	StatsHandlers []stats.Handler

	// UnknownServiceHandler, if set, gets calls of services and methods that
	// are not registered, as streams both ways; grpc.Method tells which. They
	// are checked like any other.
	UnknownServiceHandler grpc.StreamHandler

	// Limits bound what a client may cost us. Default: see Limits.
	Limits Limits

	// MaxPending bounds connections that have not yet said what they speak, a
	// quarter of them for one identity, for whose places eight times MaxPending
	// more stand in line; what comes beyond that is closed. Default 256.
	MaxPending int

	// WaitForHandlers makes Stop wait until every handler has returned.
	// Default: Stop ends their contexts, and GracefulStop alone waits.
	WaitForHandlers bool

	// KeepaliveEnforcement is how often clients over HTTP/2 may ask whether we
	// are there. Default: grpc-go's, every five minutes with calls under way.
	// Parley's framing minds only what a client leaves unread.
	KeepaliveEnforcement keepalive.EnforcementPolicy

	// NoHealth and NoReflection leave out grpc.health.v1 and
	// grpc.reflection.v1, which are served otherwise.
	NoHealth, NoReflection bool

	// Connected, if set, is told of each new connection on Parley's framing, in
	// a goroutine of its own.
	Connected func(*Peer)

	// Spin says how we wait on a socket for what a client sends on Parley's
	// framing (transport.Spinner). Default SpinAuto: while it pays.
	Spin transport.Spin

	// Logger gets what cannot be returned as an error. Default: discarded.
	Logger *slog.Logger
}

// Server serves gRPC services on any number of listeners. Three doors stand
// open on each: Parley's framing, shared memory on a unix socket, HTTP/2.
type Server struct {
	cfg      ServerConfig
	registry *registry
	health   *health.Server
	h2       *http2Door

	mu        sync.Mutex
	listeners map[net.Listener]struct{} // guarded by mu
	conns     map[*conn]struct{}        // guarded by mu
	stopping  bool                      // guarded by mu
	wg        sync.WaitGroup
	ctx       context.Context // ends at Stop
	cancel    context.CancelFunc
	fallbacks atomic.Uint64

	pending chan struct{} // one token per handshake
	turns   *turns.Turns  // for them, by identity
	fails   acceptor.Limit
}

var (
	_ grpc.ServiceRegistrar          = (*Server)(nil)
	_ reflection.ServiceInfoProvider = (*Server)(nil)
)

// ErrServerStopped is what Serve returns when it begins on a Server that has
// been stopped.
var ErrServerStopped = grpc.ErrServerStopped

// NewServer returns a Server without services, but for health and reflection.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = 256
	}
	cfg.Limits = cfg.Limits.withDefaults()
	s := &Server{
		cfg:       cfg,
		registry:  newRegistry(cfg.Logger, cfg.Limits, cfg.Authorizer),
		listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{},
		pending: make(chan struct{}, cfg.MaxPending), turns: turns.New(max(1, cfg.MaxPending/4), 8*cfg.MaxPending),
	}
	s.registry.tokens, s.registry.stats = cfg.Tokens, cfg.StatsHandlers
	if cfg.WaitForHandlers {
		s.registry.handlers = new(sync.WaitGroup)
	}
	if cfg.UnknownServiceHandler != nil {
		s.registry.other = &grpc.StreamDesc{Handler: cfg.UnknownServiceHandler, ServerStreams: true, ClientStreams: true}
	}
	s.registry.unary, s.registry.stream = chainUnaryServer(cfg.UnaryInterceptors), chainStreamServer(cfg.StreamInterceptors)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.h2 = newHTTP2Door(s)
	if !cfg.NoHealth {
		s.health = health.NewServer()
		healthpb.RegisterHealthServer(s, s.health)
	}
	if !cfg.NoReflection {
		reflection.Register(s)
	}
	return s
}

// RegisterService implements grpc.ServiceRegistrar, before Serve.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.registry.RegisterService(desc, impl)
}

// GetServiceInfo implements reflection.ServiceInfoProvider.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo { return s.registry.info() }

// Health is the health service, to say which services are well. It is nil with
// NoHealth.
func (s *Server) Health() *health.Server { return s.health }

// Fallbacks counts connections that were to share memory and work on their
// socket instead.
func (s *Server) Fallbacks() uint64 { return s.fallbacks.Load() }

// Serve accepts connections from ln, which it closes, until Stop or
// GracefulStop, when it returns nil.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return errors.Join(ErrServerStopped, ln.Close())
	}
	s.registry.freeze()
	s.listeners[ln] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, ln)
		s.mu.Unlock()
		_ = ln.Close()
	}()
	for {
		raw, err := ln.Accept()
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.stopping {
				return nil
			}
			return fault.Wrap("accept", ln.Addr().String(), err)
		}
		s.take(ln, raw)
	}
}

// ListenAndServe listens on each address and serves until ctx ends, when it
// stops gracefully what it has begun, or until one listener fails. A shm://
// address is a unix socket with all three doors.
func (s *Server) ListenAndServe(ctx context.Context, addresses ...string) error {
	listeners := make([]net.Listener, 0, len(addresses))
	for _, a := range addresses {
		ln, err := s.Listen(ctx, a)
		if err != nil {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return err
		}
		listeners = append(listeners, ln)
	}
	failed := make(chan error, len(listeners))
	for _, ln := range listeners {
		go func() { failed <- s.Serve(ln) }()
	}
	var err error
	left := len(listeners)
	select {
	case <-ctx.Done():
		s.GracefulStop()
	case err = <-failed:
		left--
		s.Stop()
	}
	for range left {
		err = errors.Join(err, <-failed)
	}
	return err
}

// Stop ends every listener, connection and call at once. Handlers learn it
// from their contexts.
func (s *Server) Stop() {
	s.shut(false)
}

// GracefulStop takes no more connections and calls, waits for those under way,
// then ends.
func (s *Server) GracefulStop() {
	s.shut(true)
}

func (s *Server) shut(gracefully bool) {
	s.mu.Lock()
	s.stopping = true
	for ln := range s.listeners {
		_ = ln.Close()
	}
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	if s.health != nil {
		s.health.Shutdown()
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.h2.stop(gracefully) })
	for _, c := range conns {
		wg.Go(func() {
			if gracefully {
				select {
				case <-c.goAway():
				case <-c.done:
				}
				c.finish()
				return
			}
			c.close(ErrServerStopped)
		})
	}
	if !gracefully {
		s.cancel()
	}
	wg.Wait()
	if s.registry.handlers != nil {
		s.registry.handlers.Wait()
	}
	s.cancel()
	s.wg.Wait()
}
