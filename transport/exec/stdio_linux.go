// SPDX-License-Identifier: Apache-2.0

package exec

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/transport"
)

// stdioUsed says that this process's stdin and stdout belong to a connection.
// They are the process's, one pair for all of it; so is this.
var stdioUsed atomic.Bool

// Stdio makes a connection of this process's stdin and stdout, once: a second
// call is fault.InUse. If a parent offers a socketpair in PARLEY_FD, it takes
// it, and the connection carries files. From then on descriptor 0 is /dev/null
// and 1 is stderr, so that a stray print spoils nothing, and PARLEY_FD is no
// longer in the environment.
//
// Who is on the other side: docs/decisions/0003-who-is-on-stdio.md.
func Stdio(ctx context.Context, cfg transport.DialConfig) (transport.Conn, error) {
	if !stdioUsed.CompareAndSwap(false, true) {
		return nil, fault.New(fault.InUse, "open", "stdio:", errors.New("stdin and stdout of this process already belong to a connection"))
	}
	cfg = cfg.WithDefaults()
	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	sock, err := takeOffer(ctx)
	if ctx.Err() != nil { // the parent may yet see our TAKE and leave the pipes
		return nil, fault.New(fault.Timeout, "open", "stdio:", errors.Join(context.Cause(ctx), err))
	}
	if err != nil {
		cfg.Logger.Warn("PARLEY_FD was offered and cannot be taken: going on over stdin and stdout", "error", err)
	}
	c, err := newStdio(0, 1, sock)
	if err == nil {
		err = redirect()
	}
	if err != nil {
		if sock != nil {
			_ = sock.Close()
		}
		return nil, fault.Wrap("open", "stdio:", err)
	}
	return c, nil
}

// takeOffer takes the socketpair that PARLEY_FD offers to this very process.
// It returns nil if there is none, and the error if the parent did not keep
// its offer; then the stream runs over the pipes.
func takeOffer(ctx context.Context) (*net.UnixConn, error) {
	value, ok := os.LookupEnv(EnvFD)
	if !ok {
		return nil, nil
	}
	_ = os.Unsetenv(EnvFD) // not for our own children
	o, err := parseOffer(value)
	if err != nil {
		return nil, err
	}
	if !isInode(o.fd, unix.S_IFSOCK, o.socket) {
		return nil, nil // inherited without the descriptor
	}
	file := os.NewFile(uintptr(o.fd), EnvFD)
	if o.version != ProtocolVersion || !o.isFor(0, 1) {
		return nil, file.Close() // so that we do not keep it open for whom it is
	}
	conn, err := net.FileConn(file) // a close-on-exec duplicate
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	sock := conn.(*net.UnixConn)
	if err := take(ctx, sock, o.nonce); err != nil {
		_ = sock.Close()
		return nil, err
	}
	return sock, nil
}

// isFor checks that stdin and stdout are the pipes that belong to the offer: a
// process down a pipeline has others.
func (o offer) isFor(stdin, stdout int) bool {
	return isInode(stdin, unix.S_IFIFO, o.stdin) && isInode(stdout, unix.S_IFIFO, o.stdout)
}

func isInode(fd int, kind uint32, ino uint64) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == kind && st.Ino == ino
}

func take(ctx context.Context, sock *net.UnixConn, n nonce) error {
	stop := context.AfterFunc(ctx, func() { _ = sock.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	m := encode(takeMagic, n)
	if _, err := sock.Write(m[:]); err != nil {
		return err
	}
	given, err := readMessage(sock)
	if err == nil {
		err = given.check(givenMagic, n)
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// redirect points 0 at /dev/null and 1 at stderr, or at /dev/null if there is
// no stderr.
func redirect() error {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer func() { _ = unix.Close(null) }()
	if err := unix.Dup3(null, 0, 0); err != nil {
		return os.NewSyscallError("dup3", err)
	}
	if unix.Dup3(2, 1, 0) == nil {
		return nil
	}
	return os.NewSyscallError("dup3", unix.Dup3(null, 1, 0))
}

var stdioAddress = endpoint.Address{Scheme: endpoint.Stdio}
