// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"context"
	"slices"
	"sync"
	"testing"
)

// play is one scene, by name.
type play struct {
	name string
	run  func(*scene)
}

// plays are all scenes.
func plays() []play {
	return slices.Concat(unaryPlays, statusPlays(), metadataPlays, streamPlays, limitPlays, cancelPlays, stopPlays, optionPlays, edgePlays)
}

// Parity plays every scene on grpc-go and on each backend, and wants the same
// story from all: status, metadata, messages, and the order on each side. The
// backends play at once; grpc-go plays a scene once for all of them.
func Parity(t *testing.T, backends ...Backend) {
	t.Helper()
	reference, all := Reference(), plays()
	wanted := make([]func() string, len(all))
	for i, p := range all {
		wanted[i] = sync.OnceValue(func() string { return perform(t, reference, p) })
	}
	for _, b := range backends {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			for i, p := range all {
				t.Run(p.name, func(t *testing.T) { compare(t, reference.Name, wanted[i](), b, p) })
			}
		})
	}
}

// compare plays one scene on b.
func compare(t *testing.T, reference, want string, b Backend, p play) {
	t.Helper()
	if got := perform(t, b, p); want != got {
		t.Errorf("%s:\n%s%s:\n%s", reference, want, b.Name, got)
	}
	if want == "" {
		t.Error("the scene shows nothing")
	}
}

func perform(t *testing.T, b Backend, p play) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sceneTime)
	defer cancel()
	s := &scene{t: t, ctx: ctx, backend: b}
	s.changed = sync.NewCond(&s.mu)
	defer s.end()
	defer func() { // a stream that could not be opened is nil
		if broken := recover(); broken != nil {
			s.saw("broken off: %v", broken)
		}
	}()
	p.run(s)
	s.end()
	return s.story()
}
