// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"os"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/transport"
)

// identities: each side knows who the other one is, in the way that the
// transport promises.
func identities(ctx context.Context, sc *scene) (f finding, err error) {
	err = sc.with(ctx, func(conn transport.Conn) error {
		ours := peer.See(conn)
		theirs, err := peer.AskWho(conn)
		if err != nil {
			return err
		}
		f.text = ours.String() + " ⇄ " + theirs.String()
		f.values = map[string]any{"peer": ours, "we": theirs}
		wantOurs, wantTheirs := expected(sc.scheme)
		if ours != wantOurs || theirs != wantTheirs {
			return fmt.Errorf("%s instead of %v ⇄ %v", f.text, wantOurs, wantTheirs)
		}
		return nil
	})
	return f, err
}

// ourselves is this user, known by method.
func ourselves(method auth.Method) peer.Seen {
	return peer.Seen{Who: fmt.Sprintf("uid:%d", os.Geteuid()), Method: string(method)}
}

// expected is whom each side should see.
func expected(scheme endpoint.Scheme) (ours, theirs peer.Seen) {
	switch scheme {
	case endpoint.TLS:
		return peer.Seen{Who: peer.ServerName, Method: string(auth.TLS)}, peer.Seen{Who: peer.ClientName, Method: string(auth.TLS)}
	case endpoint.TCP:
		return ourselves(onLoopback), ourselves(onLoopback)
	case endpoint.FIFO:
		return ourselves(auth.FileOwner), ourselves(auth.FileOwner)
	case endpoint.Exec:
		return ourselves(auth.Spawned), ourselves(auth.Kernel)
	default:
		return ourselves(auth.Kernel), ourselves(auth.Kernel)
	}
}
