// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// kinds are the kinds of resources. A rule keeps a bit for each, so there
// may be no more than 16.
var kinds = []string{"endpoint", "rpc", "topic", "queue", "key", "cell", "segment", "lock", "lease", "notify"}

// Kinds returns the kinds of resources that policy knows: "endpoint", "rpc"
// and so on.
func Kinds() []string { return slices.Clone(kinds) }

// everything is a compiled on list.
type everything struct {
	kinds   uint16 // bit i: some target is of kinds[i]
	targets []target
}

type target struct {
	kind int // index into kinds; -1: all of them
	glob glob
}

// add compiles one entry of an on list.
func (e *everything) add(s string) error {
	if s == "*" {
		g, err := compileGlob("**", '/')
		e.kinds |= 1<<len(kinds) - 1
		e.targets = append(e.targets, target{-1, g})
		return err
	}
	word, body, ok := strings.Cut(s, ":")
	kind := slices.Index(kinds, word)
	switch {
	case kind < 0 && ok:
		return fmt.Errorf("unknown kind of resource %q", word)
	case kind < 0:
		return fmt.Errorf("%q is no resource", s)
	case !ok:
		return fmt.Errorf("%q lacks the name: write %s:GLOB, or %s:* for all", s, word, word)
	}
	if err := checkBody(word, body); err != nil {
		return err
	}
	g, err := compileGlob(body, '/')
	e.kinds |= 1 << kind
	e.targets = append(e.targets, target{kind, g})
	return err
}

// checkBody refuses what could never name a resource of the kind.
func checkBody(kind, body string) error {
	wild := strings.ContainsAny(body, "*?")
	switch {
	case kind == "endpoint" && !wild && !strings.Contains(body, ":"):
		return errors.New("an endpoint is an address, such as endpoint:shm://orders")
	case kind == "rpc" && body != "" && !strings.ContainsRune("/*?", rune(body[0])):
		return errors.New("a method starts with a slash, such as rpc:/orders.v1.Orders/Get")
	}
	return nil
}

// has reports whether the resource, split into its kind and its body, is one
// of e.
func (e *everything) has(kind int, body string) bool {
	for i := range e.targets {
		t := &e.targets[i]
		if t.kind != kind && t.kind >= 0 || !strings.HasPrefix(body, t.glob.prefix) {
			continue // most rules end here
		}
		if t.glob.match(body) {
			return true
		}
	}
	return false
}

// splitResource returns the kind's index and the rest of "KIND:REST".
func splitResource(resource string) (kind int, body string, ok bool) {
	word, body, ok := strings.Cut(resource, ":")
	kind = slices.Index(kinds, word)
	return kind, body, ok && kind >= 0
}
