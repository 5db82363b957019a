// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/peer"
)

// checkTime bounds one check, so that a hang is a failure that says where.
const checkTime = 30 * time.Second

// scene is one transport with the peer that its checks talk to.
type scene struct {
	scheme endpoint.Scheme
	stage  *peer.Stage
	peer   *peer.Peer
}

// connectChecks are the columns of the section "connect", in the order in
// which they run: the last one leaves another process in the peer's place.
var connectChecks = []struct {
	name string
	run  func(context.Context, *scene) (finding, error)
}{
	{"identity", identities},
	{"bytes", bytesBothWays},
	{"files", files},
	{"awake", awake},
	{"slept", slept},
	{"throughput", throughput},
	{"stranger", stranger},
	{"killed", killed},
}

// connecting is the mechanism of one scheme.
func connecting(scheme endpoint.Scheme) mechanism {
	return mechanism{string(scheme), func(ctx context.Context, stage *peer.Stage, tell func(string, finding, error)) {
		sc := &scene{scheme: scheme, stage: stage}
		var err error
		if sc.peer, err = stage.Start(ctx, scheme, admitting(scheme)); err != nil {
			for _, c := range connectChecks {
				tell(c.name, finding{}, err)
			}
			return
		}
		for _, c := range connectChecks {
			f, err := sc.check(ctx, c.run)
			tell(c.name, f, err)
		}
		_ = sc.peer.Close() // how a killed one ended is no news
	}}
}

func (sc *scene) check(ctx context.Context, run func(context.Context, *scene) (finding, error)) (finding, error) {
	late := fmt.Errorf("it did not end within %v", checkTime)
	ctx, cancel := context.WithTimeoutCause(ctx, checkTime, late)
	defer cancel()
	f, err := run(ctx, sc)
	if errors.Is(context.Cause(ctx), late) {
		err = errors.Join(late, err)
	}
	return f, err
}
