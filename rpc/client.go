// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// ClientConfig says whom to call and how. Address or DialConn is required; with
// both, Address is a name only.
type ClientConfig struct {
	// Address of the server, such as "shm://greeter".
	Address string

	// Dialer dials Address: certificates, ring sizes, AllowExec and so on.
	Dialer parley.Dialer

	// DialConn, if set, makes the connection instead of Dialer.
	DialConn func(context.Context) (transport.Conn, error)

	// Authority is what calls say as ":authority". Default: the host and port
	// in Address, else "localhost".
	Authority string

	// UserAgent, if set, goes before our own in what calls say as "user-agent".
	UserAgent string

	// Limits bound what the server may cost us. Default: see Limits.
	Limits Limits

	// Backoff is how reconnecting slows down. Default 50 ms at first, 1.6 times
	// as long each time up to 10 s, 20 % of jitter.
	Backoff backoff.Config

	// DialTimeout bounds one attempt. Default 20 s.
	DialTimeout time.Duration

	// PerRPCCredentials go with every call.
	PerRPCCredentials []credentials.PerRPCCredentials

	// UnaryInterceptors and StreamInterceptors see every call, the first one
	// outermost.
	UnaryInterceptors  []grpc.UnaryClientInterceptor
	StreamInterceptors []grpc.StreamClientInterceptor

	// StatsHandlers are told of calls and connections.
	StatsHandlers []stats.Handler

	// DefaultCallOptions come before those of each call.
	DefaultCallOptions []grpc.CallOption

	// Services, if set, registers what the server may call on us.
	Services func(grpc.ServiceRegistrar)

	// Authorizer decides about those calls. Default auth.OwnerOnly.
	Authorizer auth.Authorizer

	// Spin says how we wait on a socket for what the server sends
	// (transport.Spinner); over shared memory Dialer has the say. Default
	// SpinAuto: while it pays.
	Spin transport.Spin

	// Logger gets what cannot be returned as an error. Default: discarded.
	Logger *slog.Logger
}

// Client is a server as its caller sees it: one connection, made when it is
// first needed and again when it is lost. It is safe for concurrent use.
type Client struct {
	cfg    ClientConfig
	addr   endpoint.Address
	serves *registry
	unary  grpc.UnaryClientInterceptor
	stream grpc.StreamClientInterceptor
	inert  *grpc.ClientConn // for interceptors; nil without any
	extras extras
	plain  bool // no interceptor, no default option

	current   atomic.Pointer[conn]
	fallbacks atomic.Uint64

	mu      sync.Mutex
	state   connectivity.State // guarded by mu
	changed chan struct{}      // guarded by mu: closed at the next change
	err     error              // guarded by mu: of the last attempt
	trying  bool               // guarded by mu: connect runs
	closed  bool               // guarded by mu
	old     map[*conn]struct{} // guarded by mu: all connections that have not ended
	ctx     context.Context    // ends at Close
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

var _ grpc.ClientConnInterface = (*Client)(nil)

// Dial connects to address with the zero ClientConfig, and returns when the
// connection is there.
func Dial(ctx context.Context, address string) (*Client, error) {
	c, err := NewClient(ClientConfig{Address: address})
	if err != nil {
		return nil, err
	}
	if err := c.WaitReady(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// NewClient returns a Client that connects when it is first called, or by
// Connect. A bad address is fault.Invalid.
func NewClient(cfg ClientConfig) (*Client, error) {
	c := &Client{cfg: cfg, changed: make(chan struct{}), old: map[*conn]struct{}{}}
	addr, err := endpoint.Parse(cfg.Address)
	if err != nil && cfg.DialConn == nil {
		return nil, err
	}
	c.addr = addr
	c.cfg.Authority = cmp.Or(cfg.Authority, addr.Host, "localhost")
	if c.cfg.Logger == nil {
		c.cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if c.cfg.Backoff == (backoff.Config{}) {
		c.cfg.Backoff = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 10 * time.Second}
	}
	c.cfg.DialTimeout = orElse(cfg.DialTimeout, 20*time.Second)
	c.cfg.Limits = cfg.Limits.withDefaults()
	c.extras = extras{creds: cfg.PerRPCCredentials, stats: cfg.StatsHandlers}
	c.unary, c.stream = chainUnaryClient(cfg.UnaryInterceptors), chainStreamClient(cfg.StreamInterceptors)
	c.plain = c.unary == nil && len(cfg.DefaultCallOptions) == 0
	if c.unary != nil || c.stream != nil {
		inert, err := grpc.NewClient("passthrough:///"+cfg.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, fault.New(fault.Invalid, "new client", cfg.Address, err)
		}
		c.inert = inert
	}
	if cfg.Services != nil {
		c.serves = newRegistry(c.cfg.Logger, c.cfg.Limits, cfg.Authorizer)
		cfg.Services(c.serves)
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// Invoke implements grpc.ClientConnInterface.
func (c *Client) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if c.plain {
		return c.invoke(ctx, method, args, reply, nil, opts...)
	}
	if len(c.cfg.DefaultCallOptions) > 0 {
		opts = append(append([]grpc.CallOption(nil), c.cfg.DefaultCallOptions...), opts...)
	}
	if c.unary == nil {
		return c.invoke(ctx, method, args, reply, nil, opts...)
	}
	return c.unary(ctx, method, args, reply, c.inert, c.invoke, opts...)
}

var noOptions callOptions

func (c *Client) invoke(ctx context.Context, method string, args, reply any, _ *grpc.ClientConn, opts ...grpc.CallOption) error {
	o := &noOptions
	if !idle(opts) {
		o = new(callOptions)
		if err := o.apply(opts); err != nil {
			return err
		}
	}
	for {
		conn, err := c.ready(ctx, o.wait)
		if err != nil {
			return err
		}
		if err = conn.invoke(ctx, method, args, reply, o, &c.extras); !errors.Is(err, errAgain) {
			return err
		}
		c.lost(conn)
	}
}

// NewStream implements grpc.ClientConnInterface.
func (c *Client) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if len(c.cfg.DefaultCallOptions) > 0 {
		opts = append(append([]grpc.CallOption(nil), c.cfg.DefaultCallOptions...), opts...)
	}
	if c.stream == nil {
		return c.newStream(ctx, desc, nil, method, opts...)
	}
	return c.stream(ctx, desc, c.inert, method, c.newStream, opts...)
}

func (c *Client) newStream(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	o := new(callOptions)
	if err := o.apply(opts); err != nil {
		return nil, err
	}
	for {
		conn, err := c.ready(ctx, o.wait)
		if err != nil {
			return nil, err
		}
		s, err := conn.newStream(ctx, desc, method, o, &c.extras)
		if !errors.Is(err, errAgain) {
			return s, err
		}
		c.lost(conn)
	}
}

// Peer returns the connection of the moment, if there is one.
func (c *Client) Peer() (*Peer, bool) {
	conn := c.current.Load()
	if conn == nil {
		return nil, false
	}
	return &Peer{conn}, true
}

// Target is the address, as it was given.
func (c *Client) Target() string { return c.cfg.Address }

// Fallbacks counts connections that were to share memory and work on their
// socket instead.
func (c *Client) Fallbacks() uint64 { return c.fallbacks.Load() }

var errClosing = status.Error(codes.Canceled, "grpc: the client connection is closing")

// Close ends the connection and every call on it. It is idempotent.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		c.wg.Wait()
		return nil
	}
	c.closed = true
	c.setState(connectivity.Shutdown)
	all := make([]*conn, 0, len(c.old))
	for conn := range c.old {
		all = append(all, conn)
	}
	c.mu.Unlock()
	c.stop()
	for _, conn := range all {
		conn.close(errClosing)
	}
	c.wg.Wait()
	if c.inert != nil {
		return c.inert.Close()
	}
	return nil
}
