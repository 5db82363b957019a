// SPDX-License-Identifier: Apache-2.0

package policy

// remembering asks each name once while rules are loaded: a directory service
// behind the system's look-up may be far away, and one user may stand in every
// rule.
type remembering struct {
	next          Lookup
	users, groups map[string]answer
}

type answer struct {
	id  uint32
	err error
}

func remember(next Lookup) Lookup {
	return remembering{next: next, users: map[string]answer{}, groups: map[string]answer{}}
}

func (r remembering) UserID(name string) (uint32, error)  { return ask(r.users, name, r.next.UserID) }
func (r remembering) GroupID(name string) (uint32, error) { return ask(r.groups, name, r.next.GroupID) }

func ask(known map[string]answer, name string, next func(string) (uint32, error)) (uint32, error) {
	a, ok := known[name]
	if !ok {
		a.id, a.err = next(name)
		known[name] = a
	}
	return a.id, a.err
}
