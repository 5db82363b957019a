// SPDX-License-Identifier: Apache-2.0

package file

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
)

// example is shown where a file has the wrong shape altogether.
const example = `write: rules: [{who: ["group:render"], may: [connect], on: ["endpoint:shm://orders"]}]`

// Parse reads the text of a policy file. name stands before each line number.
// The error is fault.Invalid and holds Mistakes.
func Parse(name string, text []byte, o policy.Options) (*policy.Policy, error) {
	f := parse(name, text)
	p := f.compile(o)
	if len(f.mistakes) > 0 {
		return nil, fault.New(fault.Invalid, "policy", name, sorted(f.mistakes))
	}
	return p, nil
}

// parsed is a file on its way to a policy.
type parsed struct {
	name     string
	rules    []policy.Rule
	places   []rulePlaces // one for each rule
	mistakes []Mistake
}

// rulePlaces says where a rule and its entries are written.
type rulePlaces struct {
	rule    place
	lists   map[policy.Field]place
	entries map[policy.Field][]place
	broken  map[policy.Field]bool // a mistake of this list has been told
}

func (f *parsed) wrong(at place, hint, format string, args ...any) {
	f.mistakes = append(f.mistakes, Mistake{f.name, at.line, at.column, fmt.Sprintf(format, args...), hint})
}

func parse(name string, text []byte) *parsed {
	f := &parsed{name: name}
	root := f.document(text)
	if root == nil || !f.is(root, yaml.MappingNode, "a policy is a mapping with the key rules", example) {
		return f
	}
	seen := f.mapping(root, "a policy has only the key rules", func(key string, value *yaml.Node) bool {
		if key == "rules" {
			f.ruleList(value)
		}
		return key == "rules"
	})
	if !seen["rules"] && len(f.mistakes) == 0 {
		f.wrong(placeOf(root), example, "the key rules is missing")
	}
	return f
}

// is reports whether n is of the kind, plainly written: no alias, no anchor,
// no tag.
func (f *parsed) is(n *yaml.Node, kind yaml.Kind, what, hint string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		f.wrong(placeOf(n), `write it out; a "*" that stands alone goes in quotes`, "aliases and anchors are not allowed")
	case n.Style&yaml.TaggedStyle != 0:
		f.wrong(placeOf(n), "", "the tag %s is not allowed", n.Tag)
	case n.Kind != kind:
		f.wrong(placeOf(n), hint, "%s, not %s", what, describe(n))
	default:
		return true
	}
	return false
}

// mapping calls each for every key of n and returns the keys it knew.
func (f *parsed) mapping(n *yaml.Node, allowed string, each func(key string, value *yaml.Node) bool) map[string]bool {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case !f.is(k, yaml.ScalarNode, "a key is a word", allowed):
		case seen[k.Value]:
			f.wrong(placeOf(k), "", "the key %s is there twice", k.Value)
		case !each(k.Value, v):
			f.wrong(placeOf(k), allowed, "unknown key %q", k.Value)
		default:
			seen[k.Value] = true
		}
	}
	return seen
}

func (f *parsed) ruleList(n *yaml.Node) {
	if !f.is(n, yaml.SequenceNode, "rules is a list", example) {
		return
	}
	for _, item := range n.Content {
		if f.is(item, yaml.MappingNode, "a rule is a mapping", example) {
			f.rule(item)
		}
	}
}

func (f *parsed) rule(n *yaml.Node) {
	at := placeOf(n)
	r := policy.Rule{Position: fmt.Sprintf("%s:%d", f.name, at.line)}
	p := rulePlaces{at, map[policy.Field]place{}, map[policy.Field][]place{}, map[policy.Field]bool{}}
	f.mapping(n, "a rule has who, may, on and deny", func(key string, value *yaml.Node) bool {
		switch key {
		case "who":
			r.Who = f.words(&p, policy.Who, value)
		case "may":
			for _, w := range f.words(&p, policy.May, value) {
				r.May = append(r.May, auth.Action(w))
			}
		case "on":
			r.On = f.words(&p, policy.On, value)
		case "deny":
			r.Deny = f.truth(value)
		default:
			return false
		}
		return true
	})
	f.rules, f.places = append(f.rules, r), append(f.places, p)
}

// words reads a list of words and notes where each stands.
func (f *parsed) words(p *rulePlaces, field policy.Field, n *yaml.Node) (words []string) {
	p.lists[field] = placeOf(n)
	p.broken[field] = true
	hint := fmt.Sprintf("write %s: [%s]", field, sample(n))
	if !f.is(n, yaml.SequenceNode, fmt.Sprintf("%s is a list", field), hint) {
		return nil
	}
	p.broken[field] = len(n.Content) > 0
	for _, item := range n.Content {
		if !f.is(item, yaml.ScalarNode, fmt.Sprintf("each entry of %s is a word", field), "") {
			continue
		}
		if item.ShortTag() != "!!str" {
			f.wrong(placeOf(item), wordHint(field, item), "each entry of %s is a word, not %s", field, describe(item))
			continue
		}
		words = append(words, item.Value)
		p.entries[field] = append(p.entries[field], placeOf(item))
	}
	return words
}

func (f *parsed) truth(n *yaml.Node) bool {
	const what, hint = "deny is true or false", "write deny: true"
	if !f.is(n, yaml.ScalarNode, what, hint) {
		return false
	}
	if n.Style != 0 || n.Value != "true" && n.Value != "false" {
		f.wrong(placeOf(n), hint, "%s, not %s", what, describe(n))
	}
	return n.Value == "true"
}

// compile adds the mistakes that policy itself finds, at their places.
func (f *parsed) compile(o policy.Options) *policy.Policy {
	p, err := policy.New(f.rules, o)
	f.mistakes = append(f.mistakes, f.locate(policy.MistakesOf(err))...)
	return p
}

// locate turns mistakes in rules into mistakes in the file.
func (f *parsed) locate(ms []policy.Mistake) (located []Mistake) {
	for _, m := range ms {
		p := &f.places[m.Rule]
		at, ok := p.lists[m.Field]
		switch {
		case m.Entry < 0 && p.broken[m.Field]:
			continue
		case !ok:
			at = p.rule
		case m.Entry >= 0:
			at = p.entries[m.Field][m.Entry]
		}
		located = append(located, Mistake{f.name, at.line, at.column, m.What, m.Hint})
	}
	return located
}
