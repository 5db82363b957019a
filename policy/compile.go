// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parley-ipc/parley/auth"
)

// compiled is a rule ready to match; it is immutable.
type compiled struct {
	who      everyone
	on       everything
	may      uint16 // bit i: auth.Actions()[i]
	deny     bool
	position string
}

// binds reports whether the rule concerns id. A deny binds the owner only if
// it names its uid or user (docs/decisions/0002-policy-deny-and-owner.md).
func (c *compiled) binds(id *auth.Identity, owner, anonymous bool) bool {
	switch {
	case anonymous:
		return c.who.anonymous || c.deny && c.who.all
	case c.deny && owner:
		return c.who.hasUID(id)
	case c.deny:
		return c.who.denies(id)
	}
	return c.who.allows(id)
}

var actions = auth.Actions()

// compileRule returns the compiled rule, of which only the right entries are
// part, and what is wrong with the others.
func compileRule(index int, r Rule, lookup Lookup) (compiled, []Mistake) {
	c := compiled{deny: r.Deny, position: r.Position}
	var ms []Mistake
	wrong := func(f Field, entry int, what, hint string) {
		ms = append(ms, Mistake{Rule: index, Field: f, Entry: entry, What: what, Hint: hint})
	}
	if len(r.Who) == 0 {
		wrong(Who, -1, "who is empty", whoForms)
	}
	for i, s := range r.Who {
		if err := c.who.add(s, lookup); err != nil {
			wrong(Who, i, err.Error(), whoHint(s))
		}
	}
	if len(r.May) == 0 {
		wrong(May, -1, "may is empty", actionForms())
	}
	for i, a := range r.May {
		if bits, ok := actionBits(a); ok {
			c.may |= bits
		} else {
			wrong(May, i, fmt.Sprintf("unknown action %q", a), nearest(string(a), actionWords(), actionForms()))
		}
	}
	if len(r.On) == 0 {
		wrong(On, -1, "on is empty", kindForms())
	}
	for i, s := range r.On {
		if err := c.on.add(s); err != nil {
			wrong(On, i, err.Error(), onHint(s))
		}
	}
	return c, ms
}

func actionBits(a auth.Action) (uint16, bool) {
	if a == "*" {
		return 1<<len(actions) - 1, true
	}
	i := slices.Index(actions, a)
	return 1 << max(i, 0), i >= 0
}

func actionWords() []string {
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = string(a)
	}
	return words
}

func actionForms() string { return "write " + strings.Join(actionWords(), ", ") + ` or "*"` }

func kindForms() string {
	return "write " + strings.Join(kinds, ":, ") + `: and a name or a glob, or "*"`
}

// whoHint and onHint explain an entry whose first word is unknown; where the
// word is known, the mistake itself says what is wrong.
func whoHint(s string) string {
	words := []string{"uid", "user", "gid", "group", "spiffe", "dns", "cn", "token", "anonymous"}
	word, _, _ := strings.Cut(s, ":")
	if slices.Contains(words, word) && word != "spiffe" {
		return ""
	}
	return nearest(word, words, whoForms)
}

func onHint(s string) string {
	word, _, _ := strings.Cut(s, ":")
	if slices.Contains(kinds, word) {
		return ""
	}
	return nearest(word, kinds, kindForms())
}
