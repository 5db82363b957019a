// SPDX-License-Identifier: Apache-2.0

package stock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"sync"
)

// Args and Service are what net/rpc asks for: exported, so that gob sees them.
type Args struct{ A, B int }

// Service is served by net/rpc.
type Service struct{}

// Multiply sets product to A times B, or fails if both are 0.
func (Service) Multiply(a Args, product *int) error {
	if a == (Args{}) {
		return errors.New("nothing to multiply")
	}
	*product = a.A * a.B
	return nil
}

func serveRPC(l net.Listener) (stop func()) {
	server := rpc.NewServer()
	if err := server.Register(Service{}); err != nil {
		return func() { _ = l.Close() }
	}
	s := &rpcServer{open: map[net.Conn]bool{}}
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(server, c) })
		}
	})
	return func() {
		_ = l.Close()
		s.closeAll()
		s.wg.Wait()
	}
}

type rpcServer struct {
	wg     sync.WaitGroup
	mu     sync.Mutex
	open   map[net.Conn]bool // guarded by mu
	closed bool              // guarded by mu
}

func (s *rpcServer) serve(server *rpc.Server, c net.Conn) {
	s.mu.Lock()
	s.open[c] = true
	if s.closed {
		_ = c.Close()
	}
	s.mu.Unlock()
	server.ServeConn(c)
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
}

func (s *rpcServer) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.open {
		_ = c.Close()
	}
}

func callRPC(ctx context.Context, dial Dial, conns int) error {
	errs := make([]error, conns)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { errs[i] = rpcSession(ctx, dial) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func rpcSession(ctx context.Context, dial Dial) error {
	c, err := dial(ctx)
	if err != nil {
		return err
	}
	client := rpc.NewClient(c)
	defer func() { _ = client.Close() }()
	calls := make([]*rpc.Call, 50)
	for i := range calls {
		calls[i] = client.Go("Service.Multiply", Args{i, 7}, new(int), make(chan *rpc.Call, 1))
	}
	for i, call := range calls {
		select {
		case <-call.Done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if call.Error != nil || *call.Reply.(*int) != 7*i {
			return fmt.Errorf("net/rpc: 7·%d = %d, %w", i, *call.Reply.(*int), call.Error)
		}
	}
	if err := client.Call("Service.Multiply", Args{}, new(int)); err == nil || err.Error() != "nothing to multiply" {
		return fmt.Errorf("net/rpc: a failing call returned %w", err)
	}
	return nil
}
