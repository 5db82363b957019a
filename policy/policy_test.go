// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
)

// names is a Lookup with known users and groups.
type names map[string]uint32

func (n names) UserID(s string) (uint32, error)  { return n.get("user", s) }
func (n names) GroupID(s string) (uint32, error) { return n.get("group", s) }

func (n names) get(kind, s string) (uint32, error) {
	if id, ok := n[s]; ok {
		return id, nil
	}
	return 0, fmt.Errorf("there is no %s %q on this machine", kind, s)
}

// stranger is a uid that is neither root nor our own.
var stranger = uint32(os.Geteuid()) + 1001

var system = names{"stranger": stranger, "me": uint32(os.Geteuid()), "render": 700}

func local(uid, gid uint32, groups ...uint32) auth.Identity {
	return auth.Identity{Method: auth.Kernel, HasUID: true, UID: uid, GID: gid, Groups: groups}
}

func named(name string) auth.Identity { return auth.Identity{Method: auth.TLS, Name: name} }

func must(t testing.TB, rules ...policy.Rule) *policy.Policy {
	t.Helper()
	p, err := policy.New(rules, policy.Options{Lookup: system})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func list(s string) []string { return strings.Fields(s) }

func actions(s string) (as []auth.Action) {
	for _, w := range strings.Fields(s) {
		as = append(as, auth.Action(w))
	}
	return as
}

func rule(who, may, on string) policy.Rule {
	return policy.Rule{Who: list(who), May: actions(may), On: list(on)}
}

func deny(r policy.Rule) policy.Rule { r.Deny = true; return r }

func TestWho(t *testing.T) {
	withUID := named("token:ci")
	withUID.HasUID, withUID.UID = true, stranger
	fifo := local(stranger, 700)
	fifo.Method = auth.FileOwner
	socket := local(stranger, 0)
	socket.Method = auth.SockDiag
	unmapped := auth.Identity{Method: auth.Kernel, Unmapped: true}
	who := func(n uint32) string { return fmt.Sprintf("uid:%d", n) }
	for _, c := range []struct {
		what        string
		who         string
		id          auth.Identity
		allow, deny bool // what an allow and a deny with this who do to it
	}{
		{"a uid", who(stranger), local(stranger, 5), true, true},
		{"another uid", who(stranger + 1), local(stranger, 5), false, false},
		{"a user's name", "user:stranger", local(stranger, 5), true, true},
		{"a primary group", "gid:700", local(stranger, 700), true, true},
		{"a supplementary group", "group:render", local(stranger, 5, 9, 700), true, true},
		{"another group", "group:render", local(stranger, 5, 9), false, false},
		{"the group of a fifo is not the peer's", "group:render", fifo, false, true},
		{"the owner of a socket is told without a group", "gid:0", socket, false, true},
		{"a spiffe id", "spiffe://corp/billing/*", named("spiffe://corp/billing/eu"), true, true},
		{"a deeper spiffe id", "spiffe://corp/billing/*", named("spiffe://corp/billing/eu/x"), false, false},
		{"any depth", "spiffe://corp/**", named("spiffe://corp/billing/eu/x"), true, true},
		{"another trust domain", "spiffe://corp/**", named("spiffe://corp.evil/billing"), false, false},
		{"a host", "dns:*.corp.example", named("dns:a.corp.example"), true, true},
		{"a host in capitals", "dns:*.Corp.example", named("dns:A.corp.EXAMPLE"), true, true},
		{"a deeper host", "dns:*.corp.example", named("dns:b.a.corp.example"), false, false},
		{"a common name", "cn:Build*", named("cn:Build Farm"), true, true},
		{"a token", "token:ci-*", named("token:ci-7"), true, true},
		{"a token with the name of a host", "dns:ci", named("token:ci"), false, false},
		{"a token beside a uid: the name", "token:ci", withUID, true, true},
		{"a token beside a uid: the uid", who(stranger), withUID, false, true},
		{"everyone, a uid", "*", local(stranger, 5), true, true},
		{"everyone, a name", "*", named("dns:x"), true, true},
		{"everyone, anonymous", "*", auth.Identity{}, false, true},
		{"anonymous", "anonymous", auth.Identity{Method: auth.None}, true, true},
		{"anonymous says nothing of a uid", "anonymous", local(stranger, 5), false, false},
		{"unmapped, everyone", "*", unmapped, false, true},
		{"unmapped, anonymous", "anonymous", unmapped, false, true},
		{"unmapped, the overflow uid", "uid:65534", unmapped, false, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := rule(c.who, "call", "rpc:*")
			if got := must(t, r).Explain(c.id, auth.Call, "rpc:/a/b"); got.Allowed != c.allow {
				t.Errorf("allow %s for %s: %+v", c.who, c.id, got)
			}
			everybody := rule("anonymous *", "*", "*")
			if got := must(t, everybody, deny(r)).Explain(c.id, auth.Call, "rpc:/a/b"); got.Allowed == c.deny {
				t.Errorf("deny %s for %s: %+v", c.who, c.id, got)
			}
		})
	}
}

func TestMayAndOn(t *testing.T) {
	id := local(stranger, 5)
	for _, c := range []struct {
		may, on  string
		action   auth.Action
		resource string
		want     bool
	}{
		{"connect call", "endpoint:shm://orders rpc:/orders.v1.Orders/*", "connect", "endpoint:shm://orders", true},
		{"connect call", "endpoint:shm://orders rpc:/orders.v1.Orders/*", "call", "rpc:/orders.v1.Orders/Get", true},
		{"connect call", "endpoint:shm://orders rpc:/orders.v1.Orders/*", "call", "rpc:/orders.v1.OrdersAdmin/Get", false},
		{"connect call", "endpoint:shm://orders rpc:/orders.v1.Orders/*", "connect", "endpoint:unix://orders", false},
		{"connect", "endpoint:shm://*", "connect", "endpoint:shm://orders", true},
		{"connect", "endpoint:shm://*", "connect", "endpoint:shm:///run/orders", false},
		{"connect", "endpoint:*", "connect", "endpoint:shm:///run/orders", true},
		{"connect", "endpoint:tls://[::1]:7000", "connect", "endpoint:tls://[::1]:7000", true},
		{"publish", "topic:*", "subscribe", "topic:prices", false},
		{"*", "topic:*", "subscribe", "topic:prices", true},
		{"*", "topic:*", "consume", "queue:prices", false},
		{"*", "*", "consume", "queue:a/b/c", true},
		{"*", "*", "fly", "queue:a", false},
		{"*", "*", "read", "file:/etc/passwd", false},
		{"*", "*", "read", "key", false},
		{"read", "key:config/?", "read", "key:config/é", true},
		{"read", "key:config/?", "read", "key:config/ab", false},
		{"read", `key:\*`, "read", "key:*", true},
		{"read", `key:\*`, "read", "key:a", false},
		{"write", "cell:a segment:b", "write", "segment:b", true},
		{"lock lease signal", "lock:l lease:l notify:n", "signal", "notify:n", true},
	} {
		got := must(t, rule("*", c.may, c.on)).Explain(id, c.action, c.resource)
		if got.Allowed != c.want {
			t.Errorf("may %s on %s: %s %s: %+v", c.may, c.on, c.action, c.resource, got)
		}
	}
}

func TestOwnerIsBoundOnlyByItsOwnName(t *testing.T) {
	me := local(uint32(os.Geteuid()), 700, 700)
	for _, c := range []struct {
		who  string
		id   auth.Identity
		want bool
	}{
		{"*", me, true},
		{"group:render", me, true},
		{"*", local(0, 0), true},
		{"uid:0", local(0, 0), false},
		{"user:me", me, false},
		{fmt.Sprint("uid:", os.Geteuid()), me, false},
		{fmt.Sprint("uid:", stranger), me, true},
	} {
		got := must(t, deny(rule(c.who, "connect", "endpoint:*"))).Explain(c.id, auth.Connect, "endpoint:shm://x")
		if got.Allowed != c.want {
			t.Errorf("deny %s for %s: %+v", c.who, c.id, got)
		}
	}
	if d := (*policy.Policy)(nil).Explain(me, "fly", "moon"); !d.Allowed {
		t.Errorf("the owner without rules: %+v", d)
	}
}

func TestDenialNamesItsRule(t *testing.T) {
	r := deny(rule("user:stranger", "connect", "endpoint:*"))
	r.Position = "policy.yaml:14"
	p := must(t, rule("*", "*", "*"), rule("*", "call", "*"), r)
	err := p.Authorize(t.Context(), local(stranger, 5), auth.Connect, "endpoint:shm://orders")
	if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "denied by rule 3 (policy.yaml:14)") {
		t.Errorf("got %v", err)
	}
	if d := p.Explain(local(stranger, 5), auth.Connect, "endpoint:shm://orders"); d.Rule != 3 || d.Position != "policy.yaml:14" {
		t.Errorf("got %+v", d)
	}
	if d := p.Explain(local(stranger, 5), auth.Call, "rpc:/a/b"); !d.Allowed || d.Rule != 1 {
		t.Errorf("the first rule that allows decides: %+v", d)
	}
	err = must(t).Authorize(t.Context(), local(stranger, 5), auth.Connect, "endpoint:shm://orders")
	if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "no rule allows") {
		t.Errorf("got %v", err)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		rule policy.Rule
		want string
	}{
		{rule("", "call", "rpc:*"), "rule 1, who: who is empty"},
		{rule("*", "", "rpc:*"), "rule 1, may: may is empty"},
		{rule("*", "call", ""), "rule 1, on: on is empty"},
		{rule("* bob", "call", "rpc:*"), `rule 1, who[1]: "bob" names nobody (write uid:N`},
		{rule("usr:stranger", "call", "rpc:*"), "did you mean user?"},
		{rule("user:nobody-here", "call", "rpc:*"), `there is no user "nobody-here" on this machine`},
		{rule("group:nobody-here", "call", "rpc:*"), `there is no group "nobody-here"`},
		{rule("user:b*", "call", "rpc:*"), "take no wildcards"},
		{rule("uid:-1", "call", "rpc:*"), `"-1" is not a number between 0 and 4294967294`},
		{rule("uid:4294967295", "call", "rpc:*"), "is not a number between"},
		{rule("uid:007", "call", "rpc:*"), "is not a number between"},
		{rule("gid:", "call", "rpc:*"), "nothing follows the colon"},
		{rule("spiffe:corp/x", "call", "rpc:*"), "spiffe://GLOB"},
		{rule("dns:", "call", "rpc:*"), "the pattern is empty"},
		{rule("*", "conect", "rpc:*"), `rule 1, may[0]: unknown action "conect" (did you mean connect?)`},
		{rule("*", "fly", "rpc:*"), "(write connect, call"},
		{rule("*", "call", "rcp:*"), `unknown kind of resource "rcp" (did you mean rpc?)`},
		{rule("*", "call", "orders"), `"orders" is no resource (write endpoint:`},
		{rule("*", "call", "rpc"), `"rpc" lacks the name: write rpc:GLOB`},
		{rule("*", "call", "rpc:"), "the pattern is empty"},
		{rule("*", "call", "rpc:orders/Get"), "a method starts with a slash"},
		{rule("*", "connect", "endpoint:orders"), "an endpoint is an address"},
		{rule("*", "call", "topic:***"), `"***" means nothing`},
		{rule("*", "call", `topic:a\`), `ends in "\"`},
		{rule("*", "call", "topic:"+strings.Repeat("x", 600)), "longer than 512 bytes"},
		{rule("*", "call", "topic:a\x01"), "control character"},
		{rule("*", "call", "topic:a\xff"), "not valid UTF-8"},
	} {
		_, err := policy.New([]policy.Rule{c.rule}, policy.Options{Lookup: system})
		var ms policy.Mistakes
		if !errors.Is(err, fault.Invalid) || !errors.As(err, &ms) || len(ms) != 1 || !strings.Contains(ms[0].String(), c.want) {
			t.Errorf("%+v: got %v, want %s", c.rule, err, c.want)
		}
	}
	_, err := policy.New([]policy.Rule{rule("bob", "fly", "moon"), rule("", "call", "rpc")}, policy.Options{})
	var ms policy.Mistakes
	if !errors.As(err, &ms) || len(ms) != 5 {
		t.Errorf("all mistakes at once: got %v", err)
	}
}

func TestSubject(t *testing.T) {
	root, err := policy.Subject("user:root")
	if err != nil || !root.HasUID || root.UID != 0 || root.GID != 0 || root.Method != auth.Kernel {
		t.Errorf("got %+v, %v", root, err)
	}
	unknown, err := policy.Subject("uid:4000000001")
	if err != nil || unknown.GID == 0 {
		t.Errorf("a uid without an account has no group, and not group 0: %+v, %v", unknown, err)
	}
	if _, err := policy.Subject("user:nobody-here"); err == nil {
		t.Error("an unknown user has an identity")
	}
	if id, err := policy.Subject("spiffe://corp/x"); err != nil || id.Name != "spiffe://corp/x" {
		t.Errorf("got %+v, %v", id, err)
	}
}
