// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/policy"
)

// The draws are from few words, so that rules and questions meet often.
var (
	whos      = []string{"*", "anonymous", fmt.Sprint("uid:", stranger), "gid:700", "spiffe://corp/*", "token:ci", "uid:0", "user:me"}
	mays      = []auth.Action{"*", "connect", "call", "read"}
	ons       = []string{"*", "endpoint:*", "endpoint:shm://*", "rpc:/a/*", "key:a", "key:**"}
	resources = []string{"endpoint:shm://x", "endpoint:unix:///x", "rpc:/a/b", "key:a", "key:b/c", "moon"}
)

func ids() []auth.Identity {
	return []auth.Identity{
		{}, local(stranger, 5), local(stranger, 700), local(stranger+1, 5, 700), named("spiffe://corp/a"), named("token:ci"),
		{Method: auth.Kernel, Unmapped: true}, local(0, 0), local(uint32(os.Geteuid()), 5),
	}
}

func rules(max int) *rapid.Generator[[]policy.Rule] {
	one := rapid.Custom(func(t *rapid.T) policy.Rule {
		return policy.Rule{
			Who:  rapid.SliceOfN(rapid.SampledFrom(whos), 1, 3).Draw(t, "who"),
			May:  rapid.SliceOfN(rapid.SampledFrom(mays), 1, 2).Draw(t, "may"),
			On:   rapid.SliceOfN(rapid.SampledFrom(ons), 1, 2).Draw(t, "on"),
			Deny: rapid.Bool().Draw(t, "deny"),
		}
	})
	return rapid.SliceOfN(one, 0, max)
}

func question(t *rapid.T) (auth.Identity, auth.Action, string) {
	return rapid.SampledFrom(ids()).Draw(t, "id"), rapid.SampledFrom(auth.Actions()).Draw(t, "action"), rapid.SampledFrom(resources).Draw(t, "resource")
}

func without(rs []policy.Rule, deny bool) (kept []policy.Rule) {
	for _, r := range rs {
		if r.Deny != deny {
			kept = append(kept, r)
		}
	}
	return kept
}

// TestDenyBeatsAllow: whatever the order, the answer is the same, and it is
// yes only if no deny alone says no.
func TestDenyBeatsAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs := rules(6).Draw(t, "rules")
		id, action, resource := question(t)
		ask := func(rs []policy.Rule) policy.Decision {
			p, err := policy.New(rs, policy.Options{Lookup: system})
			if err != nil {
				t.Fatal(err)
			}
			return p.Explain(id, action, resource)
		}
		got := ask(rs)
		if shuffled := ask(rapid.Permutation(rs).Draw(t, "order")); shuffled.Allowed != got.Allowed {
			t.Errorf("the order matters: %+v, %+v", got, shuffled)
		}
		if onlyAllows := ask(without(rs, true)); got.Allowed && !onlyAllows.Allowed {
			t.Errorf("a deny allowed it: %+v", got)
		}
		// Adding an allow of everything leaves only the denies to say no.
		open := append([]policy.Rule{rule("* anonymous", "*", "*")}, rs...)
		if d := ask(open); got.Rule > 0 && rs[got.Rule-1].Deny && d.Allowed {
			t.Errorf("an allow beat a deny: %+v, %+v", got, d)
		}
	})
}

// TestDefaultDeny: without a rule that allows, only the owner and root may;
// an unmapped peer never may; Authorize says what Explain says.
func TestDefaultDeny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs := rules(5).Draw(t, "rules")
		id, action, resource := question(t)
		p, _ := policy.New(rs, policy.Options{Lookup: system})
		d := p.Explain(id, action, resource)
		if (p.Authorize(t.Context(), id, action, resource) == nil) != d.Allowed {
			t.Errorf("Authorize and Explain differ: %+v", d)
		}
		if id.Unmapped && d.Allowed {
			t.Errorf("unmapped: %+v", d)
		}
		if len(without(rs, false)) == 0 && len(without(rs, true)) == 0 && d.Allowed != auth.IsOwner(id) {
			t.Errorf("no rules: %+v", d)
		}
		denies, _ := policy.New(without(rs, false), policy.Options{Lookup: system})
		if d := denies.Explain(id, action, resource); d.Allowed && !auth.IsOwner(id) {
			t.Errorf("allowed by denies: %+v", d)
		}
		allows, _ := policy.New(without(rs, true), policy.Options{Lookup: system})
		if d := allows.Explain(id, action, resource); !d.Allowed && auth.IsOwner(id) {
			t.Errorf("the owner is denied without a deny: %+v", d)
		}
	})
}

// TestLintVoidIsTrue: a rule of which Lint says that another makes it void
// can go without any answer changing.
func TestLintVoidIsTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs := rules(5).Draw(t, "rules")
		for _, m := range policy.Lint(rs, policy.Options{Lookup: system}) {
			if m.Field != "" {
				continue
			}
			rest := append(append([]policy.Rule(nil), rs[:m.Rule]...), rs[m.Rule+1:]...)
			with, _ := policy.New(rs, policy.Options{Lookup: system})
			less, _ := policy.New(rest, policy.Options{Lookup: system})
			for _, id := range ids() {
				for _, action := range auth.Actions() {
					for _, resource := range resources {
						a, b := with.Explain(id, action, resource), less.Explain(id, action, resource)
						if a.Allowed != b.Allowed {
							t.Fatalf("%v; yet %s %s %s: %+v, without it %+v", m, id, action, resource, a, b)
						}
					}
				}
			}
		}
	})
}
