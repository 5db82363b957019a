// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rpcwire"
	"github.com/parley-ipc/parley/transport"
)

// ALPN names of the two doors of a TLS server.
const (
	alpnParley = "parley/1"
	alpnHTTP2  = "h2"
)

// ready returns the connection, making it if there is none. A call that does
// not wait for it fails when an attempt has failed.
func (c *Client) ready(ctx context.Context, wait bool) (*conn, error) {
	if conn := c.current.Load(); conn != nil {
		return conn, nil
	}
	c.mu.Lock()
	for {
		if conn := c.current.Load(); conn != nil {
			c.mu.Unlock()
			return conn, nil
		}
		if c.closed {
			c.mu.Unlock()
			return nil, errClosing
		}
		if c.state == connectivity.TransientFailure && !wait {
			err := c.err
			c.mu.Unlock()
			return nil, connectError(err)
		}
		c.try()
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		c.mu.Lock()
	}
}

func connectError(err error) error {
	if fault.KindOf(err) == fault.Denied {
		return status.Errorf(codes.PermissionDenied, "%v", err)
	}
	return status.Errorf(codes.Unavailable, "connection error: %v", err)
}

// Connect begins to connect, if the Client is idle.
func (c *Client) Connect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && c.current.Load() == nil {
		c.try()
	}
}

// WaitReady connects, if need be, and waits for the connection. It returns why
// an attempt has failed, which has a fault.Kind: Denied where policy says no;
// the Client goes on trying.
func (c *Client) WaitReady(ctx context.Context) error {
	for {
		c.Connect()
		c.mu.Lock()
		state, err, changed := c.state, c.err, c.changed
		c.mu.Unlock()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.TransientFailure:
			return err
		case connectivity.Shutdown:
			return errClosing
		case connectivity.Idle, connectivity.Connecting: // not yet
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Wrap("dial", c.cfg.Address, context.Cause(ctx))
		}
	}
}

// GetState returns the state of the connection, as grpc.ClientConn does.
func (c *Client) GetState() connectivity.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// WaitForStateChange waits until the state is not source. It returns false if
// ctx ends before.
func (c *Client) WaitForStateChange(ctx context.Context, source connectivity.State) bool {
	for {
		c.mu.Lock()
		state, changed := c.state, c.changed
		c.mu.Unlock()
		if state != source {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// setState is called with mu held.
func (c *Client) setState(s connectivity.State) {
	if c.state == s {
		return
	}
	c.state = s
	close(c.changed)
	c.changed = make(chan struct{})
}

// try starts connect, unless it runs. The caller holds mu.
func (c *Client) try() {
	if c.trying {
		return
	}
	c.trying = true
	c.setState(connectivity.Connecting)
	c.wg.Go(c.connect)
}

// connect tries until there is a connection, or the Client is closed.
func (c *Client) connect() {
	for attempt := 0; ; attempt++ {
		conn, err := c.dial()
		c.mu.Lock()
		if err == nil && !c.closed {
			c.trying, c.err = false, nil
			c.old[conn] = struct{}{}
			c.current.Store(conn)
			c.setState(connectivity.Ready)
			c.mu.Unlock()
			conn.start()
			return
		}
		if c.closed {
			c.trying = false
			c.mu.Unlock()
			if conn != nil {
				conn.close(errClosing)
			}
			return
		}
		c.err = err
		c.setState(connectivity.TransientFailure)
		c.mu.Unlock()
		c.cfg.Logger.Warn("cannot connect, trying again", "address", c.cfg.Address, "error", err, "attempt", attempt+1)
		if !c.rest(attempt) {
			c.mu.Lock()
			c.trying = false
			c.mu.Unlock()
			return
		}
		c.mu.Lock()
		if !c.closed {
			c.setState(connectivity.Connecting)
		}
		c.mu.Unlock()
	}
}

// rest waits before the next attempt.
func (c *Client) rest(attempt int) bool {
	b := c.cfg.Backoff
	d := float64(b.BaseDelay)
	for range attempt {
		if d = d * b.Multiplier; d > float64(b.MaxDelay) {
			break
		}
	}
	d = min(d, float64(b.MaxDelay)) * (1 + b.Jitter*(2*rand.Float64()-1))
	timer := time.NewTimer(time.Duration(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// dial makes one attempt.
func (c *Client) dial() (*conn, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.DialTimeout)
	defer cancel()
	t, err := c.connection(ctx)
	if err != nil {
		return nil, err
	}
	l := c.cfg.Limits
	if c.serves == nil {
		l.MaxStreams = 0 // they may not call us
	}
	greeting := l.hello(rpcwire.StatusOK)
	greeting.Authority = c.cfg.Authority
	if c.cfg.UserAgent != "" {
		greeting.Agent = c.cfg.UserAgent + " " + agent
	}
	hello, err := hail(ctx, t, l, greeting)
	if err != nil {
		_ = t.Close()
		return nil, err
	}
	l = c.cfg.Limits
	if l.KeepaliveTime == 0 && remote(t) {
		l.KeepaliveTime = 20 * time.Second
	}
	conn := newConn(t, true, hello, connConfig{limits: l, serves: c.serves, logger: c.cfg.Logger, spin: c.cfg.Spin})
	conn.authority = c.cfg.Authority
	var ended func()
	conn.tagged, ended = tagConn(context.Background(), c.cfg.StatsHandlers, true, conn.peer)
	conn.onEnd = func() {
		c.ended(conn)
		ended()
	}
	conn.onAway = func() { c.lost(conn) }
	return conn, nil
}

// connection makes the connection itself. Where memory cannot be shared on
// this system the socket does.
func (c *Client) connection(ctx context.Context) (transport.Conn, error) {
	if c.cfg.DialConn != nil {
		return c.cfg.DialConn(ctx)
	}
	d := c.cfg.Dialer
	if d.Logger == nil {
		d.Logger = c.cfg.Logger
	}
	d.TLS.NextProtos = []string{alpnParley}
	d.SHM.FellBack = before(d.SHM.FellBack, func() { c.fellBack(nil) })
	t, err := d.DialAddress(ctx, c.addr)
	if c.addr.Scheme == endpoint.SHM && fault.KindOf(err) == fault.Unsupported {
		addr := c.addr
		addr.Scheme, addr.Query = endpoint.Unix, nil
		c.fellBack(err)
		return d.DialAddress(ctx, addr)
	}
	return t, err
}

// before is next, which may be nil, with first before it.
func before(next, first func()) func() {
	return func() {
		first()
		if next != nil {
			next()
		}
	}
}

func (c *Client) fellBack(err error) {
	c.fallbacks.Add(1)
	c.cfg.Logger.Warn("no shared memory: the connection works on its socket", "address", c.cfg.Address, "error", err)
}

// lost takes a connection out of use: it has ended, or takes no more calls.
// What is under way on it goes on.
func (c *Client) lost(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current.CompareAndSwap(conn, nil) && !c.closed {
		c.setState(connectivity.Idle)
	}
}

func (c *Client) ended(conn *conn) {
	c.lost(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.old, conn)
}
