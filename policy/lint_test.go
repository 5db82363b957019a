// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"

	"github.com/parley-ipc/parley/policy"
)

func TestLint(t *testing.T) {
	for _, c := range []struct {
		rules []policy.Rule
		want  string // empty: nothing
	}{
		{[]policy.Rule{rule("group:render spiffe://corp/billing/*", "connect call", "endpoint:shm://orders rpc:/orders.v1.Orders/*")}, ""},
		{[]policy.Rule{rule("uid:7", "admin", "queue:* endpoint:*")}, ""},
		{[]policy.Rule{rule("uid:7 uid:7", "call", "rpc:*")}, "rule 1, who[1]: uid:7 is there twice"},
		{[]policy.Rule{rule("uid:0", "call", "rpc:*")}, "root is allowed everything without a rule"},
		{[]policy.Rule{deny(rule("uid:0", "call", "rpc:*"))}, ""},
		{[]policy.Rule{rule("uid:65534", "call", "rpc:*")}, "unmapped user namespace"},
		{[]policy.Rule{rule("uid:7", "call", "rpc:* topic:x")}, "rule 1, on[1]: none of this rule's actions is ever asked of topic:x"},
		{[]policy.Rule{rule("uid:7", "call publish", "rpc:*")}, "rule 1, may[1]: publish is never asked"},
		{[]policy.Rule{rule("uid:7", "call", "rpc:/orders.v1.*")}, `rule 1, on[0]: no rpc can ever match rpc:/orders.v1.* ("*" does not cross a "/"`},
		{[]policy.Rule{rule("uid:7", "call", "rpc:/orders.v1.**")}, ""},
		{[]policy.Rule{rule("uid:7", "connect", "endpoint:shm:*")}, "no endpoint can ever match"},
		{[]policy.Rule{rule("uid:7", "connect", "endpoint:orders*")}, "no endpoint can ever match"},
		{[]policy.Rule{rule("anonymous", "call", "rpc:*")}, "anonymous, which is whoever can reach us, is let in on rpc:*"},
		{[]policy.Rule{rule("anonymous", "call", "rpc:/health/Check")}, ""},
		{[]policy.Rule{rule("*", "*", "*")}, "everyone is let in on everything"},
		{[]policy.Rule{rule("uid:7", "call", "rpc:/a/b"), deny(rule("*", "*", "rpc:/a/*"))}, "rule 1: this rule allows nothing: rule 2 denies all of it"},
		{[]policy.Rule{rule("uid:7", "call", "rpc:/a/*"), deny(rule("*", "*", "rpc:/a/b"))}, ""},
		{[]policy.Rule{rule("uid:7", "call", "rpc:/a/*"), rule("uid:7", "call", "rpc:/a/*")}, "rule 2: this rule adds nothing: rule 1 says all of it"},
		{[]policy.Rule{rule("dns:a.x", "call", "rpc:/a/b"), rule("dns:*.x", "*", "rpc:/a/*")}, "rule 1: this rule adds nothing: rule 2"},
		{[]policy.Rule{deny(rule("*", "call", "rpc:*")), deny(rule("uid:0", "call", "rpc:*"))}, ""},
		{[]policy.Rule{rule("*", "call", "rpc:*"), rule("anonymous", "call", "rpc:/a/b")}, ""},
		{[]policy.Rule{rule("bob", "call", "rpc:*")}, ""}, // a mistake, and New's to tell
	} {
		var got []string
		for _, m := range policy.Lint(c.rules, policy.Options{Lookup: system}) {
			got = append(got, m.String())
		}
		if text := strings.Join(got, "\n"); c.want == "" && text != "" || !strings.Contains(text, c.want) {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.rules, text, c.want)
		}
	}
}
