// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// covers reports that whatever o decides, c would decide too. It may miss a
// case, but never claims one that is not.
func (c *compiled) covers(o *compiled) bool {
	return o.may&^c.may == 0 && c.coversWho(o) && c.on.covers(&o.on)
}

func (c *compiled) coversWho(o *compiled) bool {
	a, b := &c.who, &o.who
	switch {
	case b.all && !a.all:
		return false
	case b.anonymous && !a.anonymous && !(c.deny && a.all):
		return false
	// "*" does not deny the owner, and a uid may be the owner's.
	case (!a.all || c.deny && o.deny) && !subset(b.uids, a.uids):
		return false
	case a.all:
		return true
	}
	return subset(b.gids, a.gids) && !slices.ContainsFunc(b.names, func(n name) bool { return !a.coversName(&n) })
}

func (e *everyone) coversName(n *name) bool {
	return slices.ContainsFunc(e.names, func(m name) bool { return m.scheme == n.scheme && m.glob.covers(&n.glob) })
}

func (e *everything) covers(o *everything) bool {
	return !slices.ContainsFunc(o.targets, func(t target) bool {
		return !slices.ContainsFunc(e.targets, func(u target) bool {
			return (u.kind < 0 || u.kind == t.kind) && u.glob.covers(&t.glob)
		})
	})
}

func subset(part, whole []uint32) bool {
	return !slices.ContainsFunc(part, func(n uint32) bool { return !slices.Contains(whole, n) })
}
