// SPDX-License-Identifier: Apache-2.0

package turns

import (
	"context"
	"errors"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

func TestTurnsEndWithTheContext(t *testing.T) {
	all := New(1, 1)
	holder, err := all.Enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if all.TryEnter("a") != nil {
		t.Error("a second place was given")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.Enter(ctx, "a"); !errors.Is(err, fault.Canceled) {
		t.Errorf("%v, want fault.Canceled", err)
	}
	holder.Leave()
	if all.Peers() != 0 {
		t.Errorf("%d peers are counted, want none", all.Peers())
	}
}
