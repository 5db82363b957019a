// SPDX-License-Identifier: Apache-2.0

package inproc

import (
	"net"
	"sync"

	"github.com/parley-ipc/parley/endpoint"
)

const backlog = 128 // connections dialled and not yet accepted

// listener is the raw listener beneath the acceptor.
type listener struct {
	network *Network
	addr    endpoint.Address
	queue   chan *Conn
	closed  chan struct{}
	once    sync.Once
}

var _ net.Listener = (*listener)(nil)

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close gives the name up and hangs up on those who wait.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.remove(l)
		close(l.closed)
		for {
			select {
			case c := <-l.queue:
				_ = c.Close()
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr.Addr() }
