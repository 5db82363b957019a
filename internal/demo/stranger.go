// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/peer"
	"github.com/parley-ipc/parley/policy"
)

// strangerUID is nobody's, as far as anybody knows.
const strangerUID = 54321

// exitDenied is the exit code of this command when it is denied, or denies.
const exitDenied = 3

// stranger: whom policy does not admit gets nothing, and the listener knows
// whom it refused.
func stranger(ctx context.Context, sc *scene) (finding, error) {
	switch sc.scheme {
	case endpoint.TLS:
		return sc.foreignName(ctx)
	case endpoint.Inproc, endpoint.Exec:
		return sc.byRule(ctx)
	default:
	}
	if !sc.stage.Reachable() {
		return sc.byRule(ctx)
	}
	r, err := sc.peer.Stranger(ctx, strangerUID)
	if errors.Is(err, peer.ErrNotAnother) {
		return sc.byRule(ctx)
	}
	if err != nil {
		return finding{}, err
	}
	who := fmt.Sprintf("uid:%d", strangerUID)
	if sc.scheme == endpoint.FIFO {
		return refused(r, who+", by the mode", r.Denied)
	}
	return sc.refused(ctx, sc.peer, r, who, who)
}

// foreignName comes with a certificate of the right authority, but a name
// that no rule has.
func (sc *scene) foreignName(ctx context.Context) (finding, error) {
	r, err := sc.peer.Intrude(ctx)
	if err != nil {
		return finding{}, err
	}
	return sc.refused(ctx, sc.peer, r, peer.StrangerName, peer.StrangerName)
}

// byRule is for where nobody else can come, or where we cannot become
// somebody else: a listener whose policy has a rule against ourselves.
func (sc *scene) byRule(ctx context.Context) (finding, error) {
	us := ourselves(auth.Kernel).Who
	if os.Geteuid() < 0 {
		return finding{}, fault.New(fault.Unsupported, "make a rule", "", errors.New("users have no numbers here"))
	}
	rule := policy.Rule{Who: []string{us}, May: []auth.Action{"*"}, On: []string{"*"}, Deny: true}
	other, err := sc.stage.Start(ctx, sc.scheme, []policy.Rule{rule})
	if err != nil {
		return finding{}, err
	}
	defer func() { _ = other.Close() }()
	r, err := other.Intrude(ctx)
	if err != nil {
		return finding{}, err
	}
	if sc.scheme == endpoint.Exec {
		return refused(r, us+", by the child's rule", r.ExitCode == exitDenied)
	}
	return sc.refused(ctx, other, r, us, us+", by a rule")
}

// refused also asks the listener whom it refused.
func (sc *scene) refused(ctx context.Context, p *peer.Peer, r peer.Refusal, who, text string) (finding, error) {
	f, err := refused(r, text, true)
	if err != nil {
		return f, err
	}
	seen, err := p.Refused(ctx)
	if err == nil && seen.Who != who {
		err = fmt.Errorf("the listener refused %v instead of %s", seen, who)
	}
	return f, err
}

func refused(r peer.Refusal, who string, also bool) (finding, error) {
	how := "closed"
	if r.Denied {
		how = "told “denied”"
	}
	f := finding{who + ": " + how, map[string]any{"who": who, "told": r.Denied, "bytes": r.Bytes, "error": r.Error}}
	if !r.Refused || r.Bytes != 0 || !also {
		return f, fmt.Errorf("%s was not refused: %d bytes, error %q", who, r.Bytes, r.Error)
	}
	return f, nil
}
