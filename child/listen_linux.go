// SPDX-License-Identifier: Apache-2.0

package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/acceptor"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/primitive/process"
	"github.com/parley-ipc/parley/transport"
)

// Connect is the child's side where one connection is all there will be: it
// shakes hands with the parent that started this program. protocol is the
// version that both agreed on. Without such a parent it is fault.NotFound.
func Connect(ctx context.Context, cfg ListenConfig) (conn transport.Conn, protocol uint32, err error) {
	cfg = cfg.withDefaults()
	in, err := takeInherited()
	if err != nil {
		return nil, 0, err
	}
	return in.answer(ctx, cfg)
}

// inherited is what the parent left us.
type inherited struct {
	sock *net.UnixConn
	peer auth.Identity
	name string // where to listen for a later parent; empty: not at all
}

// takeInherited takes the descriptor that the environment names, once.
func takeInherited() (*inherited, error) {
	v, ok := os.LookupEnv(EnvFD)
	if !ok {
		return nil, errNoParent(errors.New("the variable is not set"))
	}
	if err := os.Unsetenv(EnvFD); err != nil { // our own children have no part in it
		return nil, fault.Wrap("find parent", EnvFD, err)
	}
	fields := strings.SplitN(v, ",", 3)
	if len(fields) < 2 {
		return nil, errNoParent(fmt.Errorf("%q is not as it should be", v))
	}
	fd, err1 := strconv.Atoi(fields[0])
	ino, err2 := strconv.ParseUint(fields[1], 10, 64)
	if err := errors.Join(err1, err2); err != nil || fd < 3 {
		return nil, errNoParent(fmt.Errorf("%q is not as it should be", v))
	}
	in := &inherited{}
	if len(fields) == 3 {
		in.name = fields[2]
	}
	return in, in.open(fd, ino)
}

func (in *inherited) open(fd int, ino uint64) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK || st.Ino != ino {
		return errNoParent(fmt.Errorf("descriptor %d is not the socket that was meant", fd))
	}
	unix.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "parent")
	c, err := net.FileConn(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return errNoParent(err)
	}
	sock, ok := c.(*net.UnixConn)
	if !ok {
		return errNoParent(errors.Join(errors.New("it is no unix socket"), c.Close()))
	}
	in.sock = sock
	// Whoever made the socketpair, which is our parent.
	in.peer, err = unixconn.PeerIdentity(sock)
	if err != nil {
		return errors.Join(err, sock.Close())
	}
	return nil
}

func (in *inherited) answer(ctx context.Context, cfg ListenConfig) (transport.Conn, uint32, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	return answerParent(ctx, in.sock, in.peer, cfg)
}

// Listen is the child's side for servers: see Listener. It returns once the
// parent that started this program has shaken hands.
func Listen(ctx context.Context, cfg ListenConfig) (*Listener, error) {
	cfg = cfg.withDefaults()
	in, err := takeInherited()
	if err != nil {
		return nil, err
	}
	l := &Listener{next: make(chan versioned, 1), addr: rendezvous(in.name), survive: in.name != ""}
	// Before the parent hears of us: should it die now, its next life finds us.
	var later *acceptor.Acceptor
	if l.survive {
		if later, err = listenLater(ctx, l.addr, cfg); err != nil && fault.KindOf(err) != fault.InUse {
			return nil, errors.Join(err, refuse(in.sock, err), in.sock.Close())
		}
	}
	parent := l.openParent(in)
	conn, protocol, err := in.answer(ctx, cfg)
	if err != nil {
		if later != nil {
			err = errors.Join(err, later.Close())
		}
		if parent != nil {
			err = errors.Join(err, parent.Close())
		}
		return nil, err
	}
	l.next <- versioned{conn, protocol}
	l.ctx, l.close = context.WithCancel(context.Background())
	if l.survive {
		l.wg.Go(func() { l.welcome(cfg, later) })
	}
	if parent != nil {
		l.wg.Go(func() { l.watch(parent) })
	}
	return l, nil
}

// openParent comes before the handshake, which then proves that the parent
// still lived, and that the number was its own. It is nil for one that the
// child is to survive, or that is in another PID namespace, where the kernel's
// death signal has to do.
func (l *Listener) openParent(in *inherited) *process.Process {
	if l.survive {
		return nil
	}
	parent, err := process.Open(in.peer.PID)
	if err != nil {
		return nil
	}
	return parent
}

// Listener gives a child the connection to its parent and, where it is to
// survive it, those of the parent's later lives. Otherwise Accept ends with
// net.ErrClosed when the parent has gone, so that a server's Serve ends.
type Listener struct {
	addr    endpoint.Address
	survive bool
	next    chan versioned

	ctx   context.Context // ended by Close, or by the end of the only parent
	close context.CancelFunc
	wg    sync.WaitGroup
}

var _ transport.Listener = (*Listener)(nil)

// versioned is a connection and what its handshake agreed on.
type versioned struct {
	transport.Conn
	protocol uint32
}

func rendezvous(name string) endpoint.Address {
	return endpoint.Address{Scheme: endpoint.Unix, Name: "child-" + name}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn(context.Background())
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptConn implements transport.Listener.
func (l *Listener) AcceptConn(ctx context.Context) (transport.Conn, error) {
	c, _, err := l.AcceptProtocol(ctx)
	return c, err
}

// AcceptProtocol is AcceptConn with the version of the application's protocol
// that the handshake agreed on.
func (l *Listener) AcceptProtocol(ctx context.Context) (transport.Conn, uint32, error) {
	select {
	case v := <-l.next:
		return v.Conn, v.protocol, nil
	case <-ctx.Done():
		return nil, 0, fault.Wrap("accept", l.addr.String(), context.Cause(ctx))
	case <-l.ctx.Done():
		return nil, 0, fault.New(fault.Closed, "accept", l.addr.String(), nil)
	}
}

// Close implements net.Listener. A connection that nobody accepted is closed
// too; an accepted one goes on.
func (l *Listener) Close() error {
	l.close()
	l.wg.Wait()
	select {
	case v := <-l.next:
		return v.Close()
	default:
		return nil
	}
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr.Addr() }

// Address implements transport.Listener: where a later parent finds us.
func (l *Listener) Address() endpoint.Address { return l.addr }

// watch closes the listener when the parent has ended. That need not be the
// parent of our process: a shell may lie between.
func (l *Listener) watch(parent *process.Process) {
	defer func() { _ = parent.Close() }()
	if parent.Wait(l.ctx) == nil {
		l.close()
	}
}

// welcome hands on those who find us at our name. later is nil if whoever we
// are to replace still had it.
func (l *Listener) welcome(cfg ListenConfig, later *acceptor.Acceptor) {
	if later == nil {
		if later = l.inherit(cfg); later == nil {
			return
		}
	}
	defer func() { _ = later.Close() }()
	for {
		c, err := later.AcceptConn(l.ctx)
		if err != nil {
			return
		}
		select {
		case l.next <- c.(versioned):
		case <-l.ctx.Done():
			_ = c.Close()
			return
		}
	}
}

// inherit takes the name as soon as our predecessor has given it up.
func (l *Listener) inherit(cfg ListenConfig) *acceptor.Acceptor {
	const longestPause = time.Second
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, longestPause) {
		select {
		case <-l.ctx.Done():
			return nil
		case <-time.After(pause):
		}
		later, err := listenLater(l.ctx, l.addr, cfg)
		if err == nil {
			return later
		}
		if l.ctx.Err() == nil && fault.KindOf(err) != fault.InUse {
			cfg.Logger.Error("no later parent will find this child", "address", l.addr.String(), "error", err)
			return nil
		}
	}
}

func listenLater(ctx context.Context, addr endpoint.Address, cfg ListenConfig) (*acceptor.Acceptor, error) {
	raw, claim, err := unixconn.Claim(ctx, addr)
	if err != nil {
		return nil, err
	}
	return acceptor.New(acceptor.Config{
		ListenConfig: transport.ListenConfig{Authorizer: cfg.Authorizer, HandshakeTimeout: cfg.HandshakeTimeout, Logger: cfg.Logger},
		Raw:          raw, Address: addr, Counters: claim.Counters(), Release: claim.Close,
		Handshake: func(ctx context.Context, raw net.Conn, authorize func(auth.Identity) error) (transport.Conn, error) {
			sock := raw.(*net.UnixConn)
			peer, err := unixconn.PeerIdentity(sock)
			if err == nil {
				err = authorize(peer)
			}
			if err != nil {
				return nil, err
			}
			c, protocol, err := answerParent(ctx, sock, peer, cfg)
			if err != nil {
				return nil, err
			}
			return versioned{c, protocol}, nil
		},
	}), nil
}
