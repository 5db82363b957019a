// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"slices"
	"testing"
)

const (
	longFile = 500 // lines
	longFunc = 80  // lines
)

// sizeExceptions say why a long file or function is one piece.
var sizeExceptions = []exception{}

// sized is rule 7: past a size, a file or a function wants a reason.
func sized(tr *tree) []string {
	used := map[exception]bool{}
	var bad []string
	check := func(f file, name string, lines, limit int) {
		if lines <= limit {
			return
		}
		if e, ok := find(sizeExceptions, f.path, name); ok {
			used[e] = true
			return
		}
		bad = append(bad, fmt.Sprintf("%s: %s has %d lines, more than %d: split it or give its reason", f.path, name, lines, limit))
	}
	for _, f := range tr.goFiles() {
		if f.isGenerated() {
			continue
		}
		check(f, f.base(), bytes.Count(f.text, []byte("\n")), longFile)
		for _, fn := range functions(f) {
			check(f, fn.Name.Name, tr.lines(fn), longFunc)
		}
	}
	return append(bad, idle(sizeExceptions, used)...)
}

func functions(f file) []*ast.FuncDecl {
	var fns []*ast.FuncDecl
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			fns = append(fns, fn)
		}
	}
	return fns
}

func (tr *tree) lines(n ast.Node) int {
	return tr.fset.Position(n.End()).Line - tr.fset.Position(n.Pos()).Line + 1
}

// TestSizes reports the figures that `make budget` shows.
func TestSizes(t *testing.T) {
	tr := load(t, root, module)
	var files, funcs []int
	lines := map[bool]int{}
	for _, f := range tr.goFiles() {
		n := bytes.Count(f.text, []byte("\n"))
		files, lines[f.isTest()] = append(files, n), lines[f.isTest()]+n
		for _, fn := range functions(f) {
			funcs = append(funcs, tr.lines(fn))
		}
	}
	if len(files) == 0 || len(funcs) == 0 {
		t.Fatal("no Go files found")
	}
	t.Logf("packages %d, files %d, code %d lines, tests %d lines", len(tr.packages()), len(files), lines[false], lines[true])
	t.Logf("file: median %d, p90 %d, largest %d lines", at(files, 50), at(files, 90), at(files, 100))
	t.Logf("function: median %d, p90 %d, longest %d lines", at(funcs, 50), at(funcs, 90), at(funcs, 100))
}

// at returns the p-th percentile of xs.
func at[T cmp.Ordered](xs []T, p int) T {
	slices.Sort(xs)
	return xs[(len(xs)-1)*p/100]
}
