// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/parley-ipc/parley/auth"
)

// Rule allows, or with Deny forbids, each of Who to do each of May on each of
// On. None of the three lists may be empty.
type Rule struct {
	// Who: "uid:N", "user:NAME", "gid:N", "group:NAME", "spiffe://GLOB",
	// "dns:GLOB", "cn:GLOB", "token:GLOB", "anonymous", or "*", which is
	// everyone identified (and, in a deny, the anonymous too).
	Who []string

	// May: actions, or "*" for all of them.
	May []auth.Action

	// On: "KIND:GLOB" with a kind of Kinds, or "*" for everything.
	On []string

	Deny bool

	// Position says where the rule was written ("policy.yaml:14"), for the
	// log. It may be empty.
	Position string
}

// Field names one of a rule's lists.
type Field string

// The lists of a rule.
const (
	Who Field = "who"
	May Field = "may"
	On  Field = "on"
)

// Mistake is what is wrong with one entry of a rule. Lint uses it for
// warnings too.
type Mistake struct {
	Rule  int    // index into the rules
	Field Field  // empty: the rule as a whole
	Entry int    // index into the field; -1: the list as a whole
	What  string // what is wrong
	Hint  string // what would be right; may be empty
}

// String reads "rule 3, who[1]: what is wrong (what would be right)".
func (m Mistake) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rule %d", m.Rule+1)
	if m.Field != "" {
		fmt.Fprintf(&b, ", %s", m.Field)
		if m.Entry >= 0 {
			fmt.Fprintf(&b, "[%d]", m.Entry)
		}
	}
	b.WriteString(": " + m.What)
	if m.Hint != "" {
		b.WriteString(" (" + m.Hint + ")")
	}
	return b.String()
}

// Mistakes is the error of rules that cannot be loaded: all of them at once.
type Mistakes []Mistake

// Error lists the mistakes, one a line.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// MistakesOf returns the mistakes that an error of New holds, nil for others.
func MistakesOf(err error) Mistakes {
	var ms Mistakes
	if errors.As(err, &ms) {
		return ms
	}
	return nil
}
