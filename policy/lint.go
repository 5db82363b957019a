// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parley-ipc/parley/auth"
)

// Lint returns what is allowed in rules and yet is probably not meant: rules
// that can never match or that another one makes void, lists with an entry
// twice, doors wide open. Rules with Mistakes are for New to refuse; Lint
// returns nothing for them.
func Lint(rules []Rule, o Options) []Mistake {
	p, mistakes := build(rules, o)
	if len(mistakes) > 0 {
		return nil
	}
	l := &linter{rules: rules, p: p}
	for i := range rules {
		l.twice(i)
		l.identities(i)
		l.unasked(i)
		l.unnamed(i)
		l.open(i)
		l.void(i)
	}
	return l.found
}

type linter struct {
	rules []Rule
	p     *Policy
	found []Mistake
}

func (l *linter) warn(rule int, f Field, entry int, hint, format string, args ...any) {
	l.found = append(l.found, Mistake{rule, f, entry, fmt.Sprintf(format, args...), hint})
}

// twice finds entries that a list has already.
func (l *linter) twice(i int) {
	r := &l.rules[i]
	may := make([]string, len(r.May))
	for k, a := range r.May {
		may[k] = string(a)
	}
	for _, list := range []struct {
		field Field
		words []string
	}{{Who, r.Who}, {May, may}, {On, r.On}} {
		for k, w := range list.words {
			if slices.Contains(list.words[:k], w) {
				l.warn(i, list.field, k, "", "%s is there twice", w)
			}
		}
	}
}

// overflowUID is what the kernel shows for a uid that a user namespace lacks.
const overflowUID = 65534

// identities finds who entries that do not mean what they seem to.
func (l *linter) identities(i int) {
	for k, s := range l.rules[i].Who {
		switch {
		case s == "uid:0" && !l.rules[i].Deny:
			l.warn(i, Who, k, "", "root is allowed everything without a rule")
		case s == fmt.Sprint("uid:", overflowUID):
			l.warn(i, Who, k, "map the uid into our user namespace", "a peer from an unmapped user namespace shows this uid and still matches no rule")
		}
	}
}

// asked says which actions are asked of which kind; admin is asked of all.
var asked = map[string][]auth.Action{
	"endpoint": {auth.Connect},
	"rpc":      {auth.Call},
	"topic":    {auth.Publish, auth.Subscribe},
	"queue":    {auth.Enqueue, auth.Consume},
	"key":      {auth.Read, auth.Write, auth.Subscribe},
	"cell":     {auth.Read, auth.Write},
	"segment":  {auth.Read, auth.Write},
	"lock":     {auth.Lock},
	"lease":    {auth.Lease, auth.Lock},
	"notify":   {auth.Signal, auth.Subscribe},
}

func suits(kind int, may uint16) bool {
	bits := uint16(1) << slices.Index(actions, auth.Admin)
	for _, a := range asked[kinds[kind]] {
		bits |= 1 << slices.Index(actions, a)
	}
	return bits&may != 0
}

// unasked finds actions and resources of which no pair is ever asked.
func (l *linter) unasked(i int) {
	c := &l.p.rules[i]
	for k, t := range c.on.targets {
		if t.kind >= 0 && !suits(t.kind, c.may) {
			l.warn(i, On, k, fmt.Sprintf("actions on %s: %v", kinds[t.kind], asked[kinds[t.kind]]),
				"none of this rule's actions is ever asked of %s", l.rules[i].On[k])
		}
	}
	for k, a := range l.rules[i].May {
		bits, _ := actionBits(a)
		if !slices.ContainsFunc(c.on.targets, func(t target) bool { return t.kind < 0 || suits(t.kind, bits) }) {
			l.warn(i, May, k, "", "%s is never asked of what this rule is on", a)
		}
	}
}

// shapes are globs of which every resource of a kind matches one.
var shapes = map[string][]string{
	"endpoint": {"shm://**", "unix://**", "tcp://**", "tls://**", "fifo://**", "inproc://**", "nats://**", "mem://**", "dir://**", "exec:**", "stdio:"},
	"rpc":      {"/?*/?*"},
}

// unnamed finds globs that match no name of their kind: most often a "*" that
// was meant to cross a slash.
func (l *linter) unnamed(i int) {
	for k, t := range l.p.rules[i].on.targets {
		if t.kind < 0 || shapes[kinds[t.kind]] == nil {
			continue
		}
		matches := slices.ContainsFunc(shapes[kinds[t.kind]], func(s string) bool {
			shape, err := compileGlob(s, '/')
			return err == nil && t.glob.meets(&shape)
		})
		if !matches {
			l.warn(i, On, k, `"*" does not cross a "/", "**" does`, "no %s can ever match %s", kinds[t.kind], l.rules[i].On[k])
		}
	}
}

// open finds rules that let the unknown, or everyone, do very much.
func (l *linter) open(i int) {
	c := &l.p.rules[i]
	if c.deny {
		return
	}
	for k, t := range c.on.targets {
		if !t.everything() {
			continue
		}
		if c.who.anonymous {
			l.warn(i, On, k, "name what anonymous needs", "anonymous, which is whoever can reach us, is let in on %s", l.rules[i].On[k])
		} else if c.who.all && t.kind < 0 {
			l.warn(i, On, k, "name what everyone needs", "everyone is let in on everything")
		}
	}
}

func (t *target) everything() bool {
	return len(t.glob.steps) == 1 && t.glob.steps[0].kind == anyRun
}

// void finds a rule that another makes pointless.
func (l *linter) void(i int) {
	c := &l.p.rules[i]
	for j := range l.p.rules {
		o := &l.p.rules[j]
		if i == j || !o.covers(c) {
			continue
		}
		where := strings.TrimSpace(fmt.Sprintf("rule %d%s", j+1, l.p.where(j)))
		switch {
		case o.deny && !c.deny:
			l.warn(i, "", -1, "", "this rule allows nothing: %s denies all of it", where)
			return
		case o.deny == c.deny && (j < i || !c.covers(o)):
			l.warn(i, "", -1, "", "this rule adds nothing: %s says all of it", where)
			return
		}
	}
}
