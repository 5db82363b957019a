// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxGlob bounds a pattern in bytes. With it, a match costs at most
// maxGlob steps for each character of the text.
const maxGlob = 512

// step is one element of a compiled pattern.
type step struct {
	kind stepKind
	char rune // literal only
}

type stepKind uint8

const (
	literal stepKind = iota // exactly char
	one                     // "?": one character but the separator
	run                     // "*": any run of characters without the separator
	anyRun                  // "**": any run of characters
)

// glob is a compiled pattern; it is immutable.
//
//   - any run of characters, also none, but never the separator
//     **  any run of characters, also none
//     ?   one character, but never the separator
//     \   takes the next character literally
//
// A pattern that is nothing but "*" matches everything, as "**" does.
type glob struct {
	prefix string // the literal characters before the first wildcard
	steps  []step // the whole pattern
	skip   int    // how many steps prefix stands for
	sep    rune
}

// compileGlob reads a pattern in which sep separates segments.
func compileGlob(pattern string, sep rune) (glob, error) {
	if err := checkGlob(pattern); err != nil {
		return glob{}, err
	}
	g := glob{sep: sep}
	if pattern == "*" {
		pattern = "**"
	}
	for rest := []rune(pattern); len(rest) > 0; {
		s, n, err := readStep(rest)
		if err != nil {
			return glob{}, err
		}
		g.steps = append(g.steps, s)
		rest = rest[n:]
	}
	var prefix strings.Builder
	for g.skip < len(g.steps) && g.steps[g.skip].kind == literal {
		prefix.WriteRune(g.steps[g.skip].char)
		g.skip++
	}
	g.prefix = prefix.String()
	return g, nil
}

func checkGlob(pattern string) error {
	switch {
	case pattern == "":
		return errors.New("the pattern is empty")
	case len(pattern) > maxGlob:
		return fmt.Errorf("the pattern is longer than %d bytes", maxGlob)
	case !utf8.ValidString(pattern):
		return errors.New("the pattern is not valid UTF-8")
	case strings.ContainsFunc(pattern, unicode.IsControl):
		return errors.New("the pattern contains a control character")
	}
	return nil
}

// readStep returns the first step of a pattern and how many runes it takes.
func readStep(p []rune) (step, int, error) {
	switch {
	case p[0] == '?':
		return step{kind: one}, 1, nil
	case len(p) > 2 && p[0] == '*' && p[1] == '*' && p[2] == '*':
		return step{}, 0, errors.New(`"***" means nothing: write "*" (within a segment) or "**" (across segments)`)
	case len(p) > 1 && p[0] == '*' && p[1] == '*':
		return step{kind: anyRun}, 2, nil
	case p[0] == '*':
		return step{kind: run}, 1, nil
	case p[0] == '\\' && len(p) == 1:
		return step{}, 0, errors.New(`the pattern ends in "\": write "\\" for a backslash`)
	case p[0] == '\\':
		return step{char: p[1]}, 2, nil
	}
	return step{char: p[0]}, 1, nil
}

// match reports whether the whole of text matches.
func (g *glob) match(text string) bool {
	rest, ok := strings.CutPrefix(text, g.prefix)
	if !ok {
		return false
	}
	tail := g.steps[g.skip:]
	switch {
	case len(tail) == 0:
		return rest == ""
	case len(tail) == 1 && tail[0].kind == anyRun:
		return true
	case len(tail) == 1 && tail[0].kind == run:
		return !strings.ContainsRune(rest, g.sep)
	}
	var m matcher
	m.start(tail)
	for _, r := range rest {
		if !m.feed(tail, step{char: r}, g.sep) {
			return false
		}
	}
	return m.at[len(tail)]
}

// covers reports that everything that o matches g matches too. It may say no
// where a cleverer proof would say yes, never the other way round: o is fed to
// g as a text whose wildcards only a wildcard at least as wide can take.
func (g *glob) covers(o *glob) bool {
	var m matcher
	m.start(g.steps)
	for _, s := range o.steps {
		if !m.feed(g.steps, s, g.sep) {
			return false
		}
	}
	return m.at[len(g.steps)]
}

// matcher runs a pattern over a text without going back: at[i] says that the
// first i steps can match what has been fed. Memory is fixed and the time is
// len(text) × len(pattern) at worst, whatever the pattern.
type matcher struct {
	at [maxGlob + 1]bool
}

func (m *matcher) start(steps []step) {
	m.at[0] = true
	for i, s := range steps { // wildcards match nothing, too
		m.at[i+1] = m.at[i] && s.wild()
	}
}

// feed takes one more character, or a pattern's step in its stead, and
// reports whether any hope is left.
func (m *matcher) feed(steps []step, in step, sep rune) bool {
	before := m.at[0] // at[i] before this character
	m.at[0] = false
	alive := false
	for i, s := range steps {
		old := m.at[i+1]
		took := s.takes(in, sep)
		if s.wild() {
			m.at[i+1] = took && old || m.at[i]
		} else {
			m.at[i+1] = took && before
		}
		before = old
		alive = alive || m.at[i+1]
	}
	return alive
}

// takes reports whether s can take in.
func (s step) takes(in step, sep rune) bool {
	notSep := in.kind == one || in.kind == literal && in.char != sep
	switch s.kind {
	case literal:
		return in.kind == literal && in.char == s.char
	case one:
		return notSep
	case run:
		return notSep || in.kind == run
	default:
		return true
	}
}
