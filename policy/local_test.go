// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
)

func TestLocal(t *testing.T) {
	no := func(r policy.Rule) policy.Rule { r.Deny = true; return r }
	for name, c := range map[string]struct {
		rules []policy.Rule
		want  string
		left  int
	}{
		"nothing said":         {nil, "{false [] [] []}", 0},
		"another lock":         {[]policy.Rule{rule("uid:7", "lock", "lock:b")}, "{false [] [] []}", 0},
		"another action":       {[]policy.Rule{rule("uid:7", "read", "lock:a")}, "{false [] [] []}", 0},
		"users and groups":     {[]policy.Rule{rule("uid:7 gid:9", "lock", "lock:*"), rule("uid:7 uid:5", "*", "*")}, "{false [5 7] [9] []}", 0},
		"everybody but one":    {[]policy.Rule{rule("*", "lock", "lock:a"), no(rule("uid:7", "lock", "lock:a"))}, "{true [] [] [7]}", 0},
		"a member but one":     {[]policy.Rule{rule("gid:9", "lock", "lock:a"), no(rule("uid:7", "lock", "lock:a"))}, "{false [] [9] [7]}", 0},
		"a user, denied":       {[]policy.Rule{rule("uid:7", "lock", "lock:a"), no(rule("uid:7", "lock", "lock:a"))}, "{false [] [] []}", 0},
		"everybody denied":     {[]policy.Rule{rule("uid:7", "lock", "lock:a"), no(rule("*", "lock", "lock:a"))}, "{false [] [] []}", 0},
		"the very group":       {[]policy.Rule{rule("gid:9", "lock", "lock:a"), no(rule("gid:9", "lock", "lock:a"))}, "{false [] [] []}", 0},
		"names and anonymous":  {[]policy.Rule{rule("spiffe://corp/*", "lock", "lock:a"), rule("anonymous uid:3", "lock", "lock:a")}, "{false [3] [] []}", 2},
		"a name is denied":     {[]policy.Rule{rule("uid:3", "lock", "lock:a"), no(rule("token:x", "lock", "lock:a"))}, "{false [3] [] []}", 0},
		"a group, other users": {[]policy.Rule{rule("uid:3", "lock", "lock:a"), no(rule("gid:9", "lock", "lock:a"))}, "cannot be told", 0},
	} {
		l, left, err := must(t, c.rules...).Local(auth.Lock, "lock:a")
		got := fmt.Sprint(l)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || len(left) != c.left || err != nil && !errors.Is(err, fault.Unsupported) {
			t.Errorf("%s: %s, %q, want %s and %d", name, got, left, c.want, c.left)
		}
	}
	if _, _, err := must(t).Local("fly", "lock:a"); !errors.Is(err, fault.Invalid) {
		t.Errorf("an action that there is not: %v", err)
	}
}

// TestLocalDecidesAsAuthorize: what the kernel makes of it is what the policy
// would have said.
func TestLocalDecidesAsAuthorize(t *testing.T) {
	me := uint32(os.Geteuid())
	rapid.Check(t, func(t *rapid.T) {
		who := rapid.SampledFrom([]string{"uid:701", "uid:702", "gid:801", "gid:802", "*", "token:x"})
		var rules []policy.Rule
		for range rapid.IntRange(0, 4).Draw(t, "rules") {
			r := rule(strings.Join(rapid.SliceOfN(who, 1, 3).Draw(t, "who"), " "), "lock", rapid.SampledFrom([]string{"lock:a", "lock:*", "lock:b"}).Draw(t, "on"))
			r.Deny = rapid.IntRange(0, 3).Draw(t, "deny") == 0
			rules = append(rules, r)
		}
		p, err := policy.New(rules, policy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l, _, err := p.Local(auth.Lock, "lock:a")
		if err != nil {
			return // said to be beyond the kernel
		}
		id := auth.Identity{Method: auth.Kernel, HasUID: true, UID: rapid.SampledFrom([]uint32{701, 702, 703}).Draw(t, "uid"), GID: 900,
			Groups: rapid.SliceOfN(rapid.SampledFrom([]uint32{801, 802, 803}), 0, 2).Draw(t, "groups")}
		if id.UID == me {
			return
		}
		want := p.Authorize(t.Context(), id, auth.Lock, "lock:a") == nil
		if got := opens(l, id); got != want {
			t.Fatalf("%+v: the kernel says %v, the policy %v: %+v", id, got, want, l)
		}
	})
}

// opens is the kernel's rule for an access list: the entry of the user, else
// any of its groups, else that of the others.
func opens(l policy.Local, id auth.Identity) bool {
	switch {
	case slices.Contains(l.NotUIDs, id.UID):
		return false
	case slices.Contains(l.UIDs, id.UID):
		return true
	}
	member := func(gid uint32) bool { return slices.Contains(l.GIDs, gid) }
	return member(id.GID) || slices.ContainsFunc(id.Groups, member) || l.Everybody
}
