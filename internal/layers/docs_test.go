// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// text returns the content of a file of the tree, or "".
func (tr *tree) text(name string) string {
	for _, f := range tr.files {
		if f.path == name {
			return string(f.text)
		}
	}
	return ""
}

// errorsListed wants docs/errors.md to have a heading for each kind of
// fault, with its cause and what to do.
func errorsListed(tr *tree) []string {
	sections := map[string]string{}
	for _, s := range strings.Split(tr.text("docs/errors.md"), "\n## ")[1:] {
		name, body, _ := strings.Cut(s, "\n")
		sections[strings.Trim(strings.Fields(name)[0], "`")] = body
	}
	var bad []string
	for _, kind := range kinds(tr) {
		body := sections[kind]
		delete(sections, kind)
		if !strings.Contains(body, "Cause:") || !strings.Contains(body, "Do:") {
			bad = append(bad, fmt.Sprintf("docs/errors.md: no section `%s` with Cause: and Do:", kind))
		}
	}
	for name := range sections {
		bad = append(bad, fmt.Sprintf("docs/errors.md: %s is no kind of fault", name))
	}
	return bad
}

// kinds reads the names of the Kind constants from the source of fault.
func kinds(tr *tree) []string {
	var names []string
	for _, f := range tr.packages()["fault"] {
		for _, d := range f.ast.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				names = append(names, constants(g)...)
			}
		}
	}
	return names
}

// constants returns the exported names of a block that begins with a Kind.
func constants(g *ast.GenDecl) []string {
	first, _ := g.Specs[0].(*ast.ValueSpec)
	if id, ok := first.Type.(*ast.Ident); !ok || id.Name != "Kind" {
		return nil
	}
	var names []string
	for _, s := range g.Specs {
		for _, n := range s.(*ast.ValueSpec).Names {
			if n.IsExported() {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

var (
	// proof is a test as STATUS.md cites it: `package: TestName`, the package
	// as a directory of the module ("parley" is its root).
	proof = regexp.MustCompile("`([a-z0-9/]+): ((?:Test|Fuzz|Example|Benchmark)\\w*)(?:/([^`]*))?`")
	// script is a testscript, a benchmark program or a document, by its path.
	script = regexp.MustCompile("`((?:cmd|bench|docs|examples|\\.ci|transport|internal)/[^` ]+\\.(?:txtar|go|md|yml)|\\.ci/[a-z-]+|[A-Z]+\\.md|Makefile)`")
	row    = regexp.MustCompile(`(?m)^\| (.+) \| (.+) \|$`)
)

// statusIsTrue wants each row of docs/STATUS.md to end in tests and files
// that exist, or in "missing"; it cannot tell whether the test proves the row.
func statusIsTrue(tr *tree) []string {
	tests := tr.tests()
	var bad []string
	rows := row.FindAllStringSubmatch(tr.text("docs/STATUS.md"), -1)
	if len(rows) == 0 {
		return []string{"docs/STATUS.md: no rows"}
	}
	for _, r := range rows {
		promise, cell := r[1], r[2]
		if strings.Contains(promise, "promise") && cell == "proof" {
			continue // the table's head
		}
		proofs, scripts := proof.FindAllStringSubmatch(cell, -1), script.FindAllStringSubmatch(cell, -1)
		if len(proofs)+len(scripts) == 0 && !strings.Contains(cell, "missing") {
			bad = append(bad, fmt.Sprintf("docs/STATUS.md: %.60q has neither a proof nor \"missing\"", promise))
		}
		for _, p := range proofs {
			dir := strings.Replace(p[1], "parley", ".", 1)
			if p[1] != "parley" {
				dir = p[1]
			}
			if !slices.Contains(tests[dir], p[2]) || p[3] != "" && !tr.says(dir, p[3]) {
				bad = append(bad, fmt.Sprintf("docs/STATUS.md: %s has no %s", p[1], strings.TrimSuffix(p[2]+"/"+p[3], "/")))
			}
		}
		for _, s := range scripts {
			if tr.text(s[1]) == "" {
				bad = append(bad, fmt.Sprintf("docs/STATUS.md: there is no file %s", s[1]))
			}
		}
	}
	return bad
}

// suites are run by other packages' tests.
var suites = []string{"transport/transporttest", "topic/topictest"}

// says reports whether a test of dir, or a suite, has each part of the
// subtest's name as a string.
func (tr *tree) says(dir, name string) bool {
	for _, part := range strings.Split(name, "/") {
		literal := []byte(strconv.Quote(part))
		if !slices.ContainsFunc(tr.goFiles(), func(f file) bool {
			return (f.dir() == dir && f.isTest() || slices.Contains(suites, f.dir())) && bytes.Contains(f.text, literal)
		}) {
			return false
		}
	}
	return true
}

// tests returns the names of the test functions of each directory, nested
// modules left out.
func (tr *tree) tests() map[string][]string {
	byDir := map[string][]string{}
	for _, f := range tr.goFiles() {
		if path.Base(f.dir()) != "transporttest" && !f.isTest() {
			continue
		}
		for _, fn := range functions(f) {
			if fn.Recv == nil {
				byDir[f.dir()] = append(byDir[f.dir()], fn.Name.Name)
			}
		}
	}
	return byDir
}
