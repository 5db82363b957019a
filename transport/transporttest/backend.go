// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"context"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/transport"
)

// Backend is what the suite has to know of a transport. The functions run in
// the test's process and, by way of Roles, in its children too.
type Backend struct {
	// Name is the scheme; it also names the roles.
	Name string

	// Address returns an address on which nobody listens, for Listen. A port
	// may be 0: the suite dials what the listener's Address says.
	Address func(t testing.TB) string

	// Listen and Dial are the backend's own, whole: parse the address, make
	// up the configuration (certificates, trust) and call it.
	Listen func(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error)
	Dial   func(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error)

	// DialerSees and ListenerSees return the identity that one side must see
	// of the other. A PID of 0 is not compared; Groups never are.
	DialerSees   func(listener Party) auth.Identity
	ListenerSees func(dialer Party) auth.Identity

	// Spawned, for a backend without Listen and Dial that starts its peer:
	// the test calls Dial with the address that Spawned returns for a child
	// of the test's binary in the role (see proctest.Environ) with arguments,
	// and the child makes its connection by Stdio.
	Spawned func(t testing.TB, role string, args ...string) (addr string)
	Stdio   func() (transport.Conn, error)

	// Pair makes a connection within the process where Listen and Dial do
	// not serve. Default: Listen, Dial and AcceptConn.
	Pair func(t testing.TB) (dialer, listener transport.Conn)

	// TrustedPair is Pair with both sides Trusted, so that Peek works; for
	// Lend.
	TrustedPair func(t testing.TB) (dialer, listener transport.Conn)

	// ChildEnv is added to the environment of children.
	ChildEnv []string

	Files        bool // carries open files (transport.FilePasser)
	Lend         bool // lends memory (transport.Lender)
	OnePeer      bool // one connection at a time (fifo)
	OneProcess   bool // never leaves the process (inproc)
	DeathIsError bool // a peer that was killed is never io.EOF
	NoClaim      bool // a name in use is not refused
	NoCounters   bool // the listener has no Counters method
	AsksNobody   bool // policy is not asked (the dialer started its peer)
	NoWriteAfter bool // a failed deadline spoils the writing side (tls)
	DialWaits    bool // dialling nobody waits for the context instead of failing at once
}

// Party is a process as the other side may know it.
type Party struct {
	UID, GID uint32
	PID      int
}

func (b Backend) spawns() bool  { return b.Spawned != nil }
func (b Backend) listens() bool { return b.Listen != nil && b.Dial != nil && b.Spawned == nil }
func (b Backend) many() bool    { return b.listens() && !b.OnePeer }
