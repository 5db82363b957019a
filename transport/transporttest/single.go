// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"net"
	"sync"

	"github.com/parley-ipc/parley/transport"
)

// single is a net.Listener over one connection: it accepts it once, and is
// closed when the connection is.
type single struct {
	conn chan net.Conn
	addr net.Addr
	done chan struct{}
	once sync.Once
}

func newSingle(c transport.Conn) *single {
	s := &single{conn: make(chan net.Conn, 1), addr: c.LocalAddr(), done: make(chan struct{})}
	s.conn <- &singleConn{Conn: c, s: s}
	return s
}

func (s *single) Accept() (net.Conn, error) {
	select {
	case c := <-s.conn:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *single) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

func (s *single) Addr() net.Addr { return s.addr }

type singleConn struct {
	transport.Conn
	s *single
}

func (c *singleConn) Close() error {
	err := c.Conn.Close()
	_ = c.s.Close()
	return err
}
