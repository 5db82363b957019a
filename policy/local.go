// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

// Local is what a policy says about users and groups of this machine, where
// the kernel has to decide and nobody can be asked: who may open a file, beside
// its owner and root. Its zero value is nobody.
type Local struct {
	Everybody bool
	UIDs      []uint32
	GIDs      []uint32 // whoever is a member of one
	NotUIDs   []uint32 // whatever groups they are in
}

// Local is what the policy says about action on resource. left names rules
// that allow it to whom the kernel cannot tell, such as the holders of a
// certificate: they let nobody in.
//
// A deny of a group beside an allow that could concern its members is
// fault.Unsupported: a file's access list lets in whom any entry lets in.
func (p *Policy) Local(action auth.Action, resource string) (l Local, left []string, err error) {
	i := slices.Index(actions, action)
	kind, body, ok := splitResource(resource)
	if i < 0 || !ok {
		return l, nil, fault.New(fault.Invalid, string(action), resource, errors.New("no such action, or no such kind of resource"))
	}
	var deniedGroups []uint32
	denying := 0
	want := uint32(1)<<(16+kind) | uint32(1)<<i
	for n, bits := range p.bits() {
		r := &p.rules[n]
		if bits&want != want || !r.on.has(kind, body) {
			continue
		}
		switch {
		case r.deny && r.who.all:
			return Local{}, left, nil
		case r.deny:
			l.NotUIDs = append(l.NotUIDs, r.who.uids...)
			if len(r.who.gids) > 0 {
				deniedGroups, denying = append(deniedGroups, r.who.gids...), n
			}
		default:
			l.add(&r.who)
			if len(r.who.names) > 0 || r.who.anonymous {
				left = append(left, fmt.Sprintf("rule %d%s", n+1, p.where(n)))
			}
		}
	}
	l.settle(deniedGroups)
	if len(deniedGroups) > 0 && (l.Everybody || len(l.UIDs)+len(l.GIDs) > 0) {
		return Local{}, left, fault.New(fault.Unsupported, string(action), resource,
			fmt.Errorf("rule %d%s denies a group, and another lets in whoever may be a member: the kernel cannot be told so", denying+1, p.where(denying))).
			WithHint("deny its users by name, or allow only groups and users that it has nothing to do with")
	}
	return l, left, nil
}

func (l *Local) add(who *everyone) {
	l.Everybody = l.Everybody || who.all
	l.UIDs = append(l.UIDs, who.uids...)
	l.GIDs = append(l.GIDs, who.gids...)
}

// settle takes out what is denied or said twice.
func (l *Local) settle(deniedGroups []uint32) {
	in := func(ids []uint32) func(uint32) bool { return func(id uint32) bool { return slices.Contains(ids, id) } }
	l.UIDs = slices.DeleteFunc(sorted(l.UIDs), in(l.NotUIDs))
	l.GIDs = slices.DeleteFunc(sorted(l.GIDs), in(deniedGroups))
	l.NotUIDs = sorted(l.NotUIDs)
	if !l.Everybody && len(l.GIDs) == 0 {
		l.NotUIDs = nil // nobody lets them in
	}
}

func sorted(ids []uint32) []uint32 {
	slices.Sort(ids)
	return slices.Compact(ids)
}
