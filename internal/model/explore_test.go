// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strings"
	"testing"
)

const limit = 3_000_000 // states: some seconds

// holds wants the model to have no fault, and each mutation to have one.
func holds[S comparable, M comparable](t *testing.T, make func(M) System[S], mutations map[string]M) {
	t.Helper()
	var none M
	r := make(none).Explore(limit)
	if r.Fault != "" {
		t.Fatalf("%s\n%s", r.Fault, strings.Join(r.Trace, "\n"))
	}
	t.Logf("%d states, %d steps", r.States, r.Steps)
	for name, m := range mutations {
		r := make(m).Explore(limit)
		if r.Fault == "" {
			t.Errorf("%s: found no fault in %d states: the model proves nothing of it", name, r.States)
			continue
		}
		t.Logf("%s: after %d steps, %.40s", name, len(r.Trace), r.Fault)
	}
}

// TestExplore finds what it should in a system of two counters.
func TestExplore(t *testing.T) {
	type pair [2]int
	count := func(s pair, step func(string, pair)) {
		for i := range s {
			if s[i] < 3 {
				to := s
				to[i]++
				step("ab"[i:i+1], to)
			}
		}
	}
	s := System[pair]{
		First: []pair{{}}, Next: count, Wrong: func(pair) string { return "" }, Done: func(s pair) bool { return s == pair{3, 3} },
	}
	if r := s.Explore(100); r.Fault != "" || r.States != 16 || r.Steps != 24 {
		t.Errorf("%+v", r)
	}
	if r := s.Explore(10); !strings.HasPrefix(r.Fault, "more than 10") {
		t.Errorf("%+v", r)
	}
	s.Done = func(s pair) bool { return s == pair{2, 3} }
	if r := s.Explore(100); !strings.HasPrefix(r.Fault, "it can never end") || strings.Join(r.Trace, "") != "aaa" {
		t.Errorf("%+v", r)
	}
	s.Wrong = func(s pair) string {
		if s[0]+s[1] == 2 && s[1] == 1 {
			return "one each"
		}
		return ""
	}
	if r := s.Explore(100); !strings.HasPrefix(r.Fault, "one each") || len(r.Trace) != 2 {
		t.Errorf("%+v", r)
	}
}
