// SPDX-License-Identifier: Apache-2.0

package policy

// meets reports whether some text matches both patterns. It walks pairs of
// positions, each at most once. Lint uses it; no question waits for it.
func (g *glob) meets(o *glob) bool {
	type pair struct{ i, j int }
	seen := map[pair]bool{}
	todo := []pair{{0, 0}}
	visit := func(i, j int) {
		if p := (pair{i, j}); !seen[p] {
			seen[p] = true
			todo = append(todo, p)
		}
	}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if p.i == len(g.steps) && p.j == len(o.steps) {
			return true
		}
		if p.i < len(g.steps) && g.steps[p.i].wild() {
			visit(p.i+1, p.j) // it matches nothing
		}
		if p.j < len(o.steps) && o.steps[p.j].wild() {
			visit(p.i, p.j+1)
		}
		if p.i < len(g.steps) && p.j < len(o.steps) && common(g.steps[p.i], o.steps[p.j], g.sep) {
			visit(p.i+g.steps[p.i].stride(), p.j+o.steps[p.j].stride())
		}
	}
	return false
}

func (s step) wild() bool { return s.kind >= run }

// stride is how far a step moves on when it has taken a character: not at all
// if it can take another.
func (s step) stride() int {
	if s.wild() {
		return 0
	}
	return 1
}

// common reports whether one character suits both steps.
func common(a, b step, sep rune) bool {
	if b.kind == literal {
		return a.takes(b, sep)
	}
	return a.kind != literal || b.takes(a, sep)
}
