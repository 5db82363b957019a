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

// Parity plays every scene on grpc-go and on b, and wants the same story from
// both: status, metadata, messages, and the order on each side.
func Parity(t *testing.T, b Backend) {
	t.Helper()
	reference := Reference()
	for _, p := range plays() {
		t.Run(p.name, func(t *testing.T) {
			want, got := perform(t, reference, p), perform(t, b, p)
			if want != got {
				t.Errorf("%s:\n%s%s:\n%s", reference.Name, want, b.Name, got)
			}
			if want == "" {
				t.Error("the scene shows nothing")
			}
		})
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
