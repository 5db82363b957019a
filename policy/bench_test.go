// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/policy"
)

// BenchmarkAuthorize asks policies of 1,000 rules, each for another service
// and another group. Every question is decided after a look at all of them.
func BenchmarkAuthorize(b *testing.B) {
	var rules []policy.Rule
	for i := range 1000 {
		rules = append(rules, rule(
			fmt.Sprintf("gid:%d spiffe://corp/team-%d/*", 10_000+i, i), "connect call",
			fmt.Sprintf("endpoint:shm://service-%d rpc:/service%d.v1.Service/*", i, i)))
	}
	p := must(b, rules...)
	for _, c := range []struct {
		what     string
		id       auth.Identity
		action   auth.Action
		resource string
		want     bool
	}{
		{"allowed/uid", local(stranger, 5, 1, 2, 3, 10_999), auth.Call, "rpc:/service999.v1.Service/Get", true},
		{"allowed/spiffe", named("spiffe://corp/team-999/eu"), auth.Call, "rpc:/service999.v1.Service/Get", true},
		{"denied", local(stranger, 5), auth.Call, "rpc:/service999.v1.Service/Get", false},
		{"other-action", local(stranger, 5), auth.Read, "key:a", false},
	} {
		b.Run(c.what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if (p.Authorize(b.Context(), c.id, c.action, c.resource) == nil) != c.want {
					b.Fatal("decided wrongly")
				}
			}
		})
	}
}
