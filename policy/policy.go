// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

// Policy is a compiled list of rules. It is immutable and may be asked from
// many goroutines. A nil or zero Policy has no rules: only the owner may.
type Policy struct {
	rules []compiled

	// scan has for each rule its kinds << 16 | its actions, so that the rules
	// that do not concern a question are passed over quickly.
	scan []uint32
}

var _ auth.Authorizer = (*Policy)(nil)

// Options say how to read rules. The zero value works.
type Options struct {
	// Lookup resolves user: and group:. Default System.
	Lookup Lookup
}

// New compiles rules. Its error is fault.Invalid and holds Mistakes: all of
// them, not the first.
func New(rules []Rule, o Options) (*Policy, error) {
	p, mistakes := build(rules, o)
	if len(mistakes) > 0 {
		return nil, fault.New(fault.Invalid, "policy", "", Mistakes(mistakes))
	}
	return p, nil
}

func build(rules []Rule, o Options) (*Policy, []Mistake) {
	if o.Lookup == nil {
		o.Lookup = System{}
	}
	o.Lookup = remember(o.Lookup)
	p := &Policy{}
	var all []Mistake
	for i, r := range rules {
		c, mistakes := compileRule(i, r, o.Lookup)
		all = append(all, mistakes...)
		p.rules = append(p.rules, c)
		p.scan = append(p.scan, uint32(c.on.kinds)<<16|uint32(c.may))
	}
	return p, all
}

// Len is the number of rules.
func (p *Policy) Len() int {
	if p == nil {
		return 0
	}
	return len(p.rules)
}

// Authorize implements auth.Authorizer. The error names the rule that
// decided: it is for our own log and not for the peer.
func (p *Policy) Authorize(_ context.Context, id auth.Identity, action auth.Action, resource string) error {
	n, allowed := p.decide(&id, action, resource)
	if allowed {
		return nil
	}
	return fault.New(fault.Denied, string(action), resource, errors.New(p.reason(id.String(), n, action, resource)))
}

// Verdicts of decide beside the index of a rule.
const (
	noRule    = -1 // none that concerns the question
	byOwner   = -2 // the owner may
	unmapped  = -3 // a uid that means nothing here
	badAction = -4 // not one of auth.Actions
	badKind   = -5 // a resource of no kind that policy knows
)

// decide returns the rule that decides, or a verdict, and whether it allows.
// The first deny that matches decides; without one the first allow does.
func (p *Policy) decide(id *auth.Identity, action auth.Action, resource string) (int, bool) {
	if id.Unmapped && id.Name == "" {
		return unmapped, false
	}
	owner := auth.IsOwner(*id)
	i := slices.Index(actions, action)
	kind, body, ok := splitResource(resource)
	switch {
	case owner && (i < 0 || !ok):
		return byOwner, true
	case i < 0:
		return badAction, false
	case !ok:
		return badKind, false
	}
	allow := noRule
	anonymous := id.Anonymous()
	want := uint32(1)<<(16+kind) | uint32(1)<<i
	for n, bits := range p.bits() {
		if bits&want != want {
			continue
		}
		r := &p.rules[n]
		if !r.deny && (owner || allow >= 0) || !r.on.has(kind, body) || !r.binds(id, owner, anonymous) {
			continue
		}
		if r.deny {
			return n, false
		}
		allow = n
	}
	if owner {
		return byOwner, true
	}
	return allow, allow >= 0
}

func (p *Policy) bits() []uint32 {
	if p == nil {
		return nil
	}
	return p.scan
}

// reason tells in words what decide returned.
func (p *Policy) reason(id string, n int, action auth.Action, resource string) string {
	switch n {
	case noRule:
		return fmt.Sprintf("%s: no rule allows", id)
	case byOwner:
		return fmt.Sprintf("%s is the owner or root, and no rule that denies names it", id)
	case unmapped:
		return "the peer's uid does not exist in our user namespace, and no rule can match it"
	case badAction:
		return fmt.Sprintf("%s: no rule allows: %q is no action", id, action)
	case badKind:
		return fmt.Sprintf("%s: no rule allows: %q is no kind of resource", id, resource)
	}
	verb := "allowed"
	if p.rules[n].deny {
		verb = "denied"
	}
	return fmt.Sprintf("%s: %s by rule %d%s", id, verb, n+1, p.where(n))
}

// where is " (policy.yaml:14)", or nothing if the rule's position is unknown.
func (p *Policy) where(n int) string {
	if p.rules[n].position == "" {
		return ""
	}
	return " (" + p.rules[n].position + ")"
}
