// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// reference matches by trying everything, straight from the doc of glob.
func reference(p []step, text []rune, sep rune) bool {
	if len(p) == 0 {
		return len(text) == 0
	}
	one := len(text) > 0 && (p[0].kind == anyRun || p[0].kind == literal && text[0] == p[0].char || p[0].kind != literal && text[0] != sep)
	if !p[0].wild() {
		return one && reference(p[1:], text[1:], sep)
	}
	return reference(p[1:], text, sep) || one && reference(p, text[1:], sep)
}

func compiledGlob(t testing.TB, pattern string) glob {
	t.Helper()
	g, err := compileGlob(pattern, '/')
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a", "", false},
		{"*", "", true}, {"*", "a/b", true}, {"a/*", "a/", true}, {"a/*", "a/b", true}, {"a/*", "a/b/c", false},
		{"*/c", "b/c", true}, {"*/c", "a/b/c", false}, {"**/c", "a/b/c", true}, {"**/c", "c", false},
		{"**", "", true}, {"a**", "a/b", true}, {"a/**", "a", false}, {"a/**/b", "a/b", false}, {"a/**/b", "a/x/y/b", true},
		{"?", "é", true}, {"?", "", false}, {"?", "/", false}, {"?", "\xff", true}, {"??*", "é", false}, {"*??", "€", false},
		{`\*`, "*", true}, {`\*`, "x", false}, {`\\`, `\`, true}, {`\a`, "a", true}, {`\***`, "*x/y", true},
		{"[ab]", "[ab]", true}, {"[ab]", "a", false}, {"{a,b}", "a", false},
		{"**a*b", "xa/aab", true}, {"**a*b", "xa/b", false}, {"*a**a*", "a/a", true},
	} {
		if g := compiledGlob(t, c.pattern); g.match(c.text) != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.text, !c.want, c.want)
		}
	}
}

// TestGlobIsLinear would take centuries if matching tried every way.
func TestGlobIsLinear(t *testing.T) {
	g := compiledGlob(t, strings.Repeat("**a*a", 100)+"b")
	if g.match(strings.Repeat("a", 20_000)) {
		t.Error("it matches")
	}
}

func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"a/*", "a/b"}, {"**/?x*", "a/b/éx"}, {`\***`, "*x"}, {"*a**a*b", "aaa/ab"}, {"", ""}, {"\xff", "\xff"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		g, err := compileGlob(pattern, '/')
		if err != nil {
			return
		}
		got := g.match(text) // whatever its size
		if len(g.steps) > 12 || len(text) > 24 || strings.ContainsRune(pattern, utf8.RuneError) {
			return // too slow for the reference; a bad byte reads as U+FFFD
		}
		if want := reference(g.steps, []rune(text), '/'); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, text, got, want)
		}
	})
}

// letters make patterns and texts that meet often.
func patterns() *rapid.Generator[string] {
	return rapid.StringMatching(`([ab/?]|\*|\*\*[ab/?]){1,7}`)
}

func TestGlobAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := patterns().Filter(valid).Draw(t, "pattern")
		text := rapid.StringMatching(`[ab/é]{0,9}`).Draw(t, "text")
		g, _ := compileGlob(pattern, '/')
		if want := reference(g.steps, []rune(text), '/'); g.match(text) != want {
			t.Errorf("%q matches %q: want %v", pattern, text, want)
		}
	})
}

// TestCoversAndMeets: what a covered pattern matches, the covering one
// matches; two patterns that match one text meet.
func TestCoversAndMeets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, q := patterns().Filter(valid).Draw(t, "p"), patterns().Filter(valid).Draw(t, "q")
		text := rapid.StringMatching(`[ab/]{0,7}`).Draw(t, "text")
		g, _ := compileGlob(p, '/')
		o, _ := compileGlob(q, '/')
		if g.covers(&o) && o.match(text) && !g.match(text) {
			t.Errorf("%q covers %q, but only the latter matches %q", p, q, text)
		}
		if g.match(text) && o.match(text) && !g.meets(&o) {
			t.Errorf("%q and %q both match %q, but do not meet", p, q, text)
		}
		if !g.covers(&g) || !g.meets(&g) {
			t.Errorf("%q is not itself", p)
		}
	})
	for _, c := range []struct {
		p, q          string
		covers, meets bool
	}{
		{"**", "a/*", true, true}, {"*", "a/*", true, true}, {"a*", "a**", false, true}, {"a/*", "a/b", true, true},
		{"/?*/?*", "/orders*", false, false}, {"/?*/?*", "/orders**", false, true}, {"a?", "a/", false, false}, {"a?", "a*", false, true},
	} {
		g, o := compiledGlob(t, c.p), compiledGlob(t, c.q)
		if g.covers(&o) != c.covers || g.meets(&o) != c.meets {
			t.Errorf("%q and %q: covers %v, meets %v", c.p, c.q, g.covers(&o), g.meets(&o))
		}
	}
}

func valid(pattern string) bool {
	_, err := compileGlob(pattern, '/')
	return err == nil
}
