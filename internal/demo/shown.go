// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/internal/peer"
)

// shownCheck is the only column of a section whose mechanisms have little in
// common: each tells in words what was seen.
const shownCheck = "seen"

var shownTables = []table{{{shownCheck, "what was done, and seen", ""}}}

// shown is a mechanism of such a section. run's finding is a sentence.
func shown(name string, run func(context.Context, *peer.Stage) (finding, error)) mechanism {
	return mechanism{name, func(ctx context.Context, stage *peer.Stage, tell func(string, finding, error)) {
		late := fmt.Errorf("it did not end within %v", checkTime)
		ctx, cancel := context.WithTimeoutCause(ctx, checkTime, late)
		defer cancel()
		f, err := run(ctx, stage)
		if errors.Is(context.Cause(ctx), late) {
			err = errors.Join(late, err)
		}
		tell(shownCheck, f, err)
	}}
}
