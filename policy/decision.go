// SPDX-License-Identifier: Apache-2.0

package policy

import "github.com/parley-ipc/parley/auth"

// Decision is the answer to a question with its reason.
type Decision struct {
	Allowed  bool
	Rule     int    // the rule that decided, counted from 1; 0 if none did
	Position string // where that rule is written; may be empty
	Reason   string // in words, for a person
}

// Explain decides as Authorize does and says why.
func (p *Policy) Explain(id auth.Identity, action auth.Action, resource string) Decision {
	n, allowed := p.decide(&id, action, resource)
	d := Decision{Allowed: allowed, Reason: p.reason(id.String(), n, action, resource)}
	if n >= 0 {
		d.Rule, d.Position = n+1, p.rules[n].position
	}
	return d
}
