// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"bytes"
	"fmt"
	"go/doc"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// oneSentence is rule 1: a package is one noun, told in one sentence, in its
// doc.go and nowhere else.
func oneSentence(tr *tree) []string {
	var bad []string
	for dir, files := range tr.packages() {
		documented := false
		for _, f := range files {
			if f.ast.Doc == nil {
				continue
			}
			documented = true
			if f.ast.Name.Name == "main" {
				continue // a command's comment is its manual
			}
			if f.base() != "doc.go" {
				bad = append(bad, f.path+": the package comment belongs in doc.go")
			}
			first, _, _ := strings.Cut(f.ast.Doc.Text(), "\n\n")
			if whole := strings.Join(strings.Fields(first), " "); new(doc.Package).Synopsis(first) != whole || !strings.HasSuffix(whole, ".") {
				bad = append(bad, f.path+": the first paragraph of the package comment is not one sentence")
			}
		}
		if !documented {
			bad = append(bad, dir+": no package comment: write doc.go with one sentence")
		}
	}
	return bad
}

var vague = []string{"util", "utils", "common", "helper", "helpers", "manager", "misc", "shared", "base", "lib"}

// nameExceptions excuse a word that says something where it stands.
var nameExceptions = []exception{
	{"engine/shared", "shared", "the engine in shared memory, beside embedded and remote"},
}

// plainNames is the other half of rule 1.
func plainNames(tr *tree) []string {
	used := map[exception]bool{}
	var bad []string
	for dir, files := range tr.packages() {
		for _, name := range []string{path.Base(dir), files[0].ast.Name.Name} {
			if !slices.Contains(vague, name) {
				continue
			}
			if e, ok := find(nameExceptions, dir, name); ok {
				used[e] = true
				continue
			}
			bad = append(bad, fmt.Sprintf("%s: %q says nothing: name the noun", dir, name))
		}
	}
	return append(bad, idle(nameExceptions, used)...)
}

const spdx = "// SPDX-License-Identifier: Apache-2.0\n"

// licensed wants the SPDX line first in each Go file that a person wrote.
func licensed(tr *tree) []string {
	var bad []string
	for _, f := range tr.files {
		if f.isGo() && !f.isGenerated() && !bytes.HasPrefix(f.text, []byte(spdx)) {
			bad = append(bad, f.path+": the first line is not "+strings.TrimSpace(spdx))
		}
	}
	return bad
}

// exampleExceptions excuse a public package without an Example.
var exampleExceptions = []exception{
	{"transport", "Example", "a contract alone does nothing: its backends have the examples"},
	{"transport/transporttest", "Example", "its use is one line of a test, as in each backend"},
	{"topic/topictest", "Example", "its use is one line of a test, as in each engine"},
}

// exampled is rule 14: the example is the manual, and it runs.
func exampled(tr *tree) []string {
	has := map[string]bool{}
	for _, f := range tr.goFiles() {
		if !f.isTest() {
			continue
		}
		for _, e := range doc.Examples(f.ast) {
			has[f.dir()] = has[f.dir()] || e.Output != "" || e.EmptyOutput
		}
	}
	used := map[exception]bool{}
	var bad []string
	for dir, files := range tr.packages() {
		if !public(dir, files) || has[dir] {
			continue
		}
		if e, ok := find(exampleExceptions, dir, "Example"); ok {
			used[e] = true
			continue
		}
		bad = append(bad, dir+": no Example with output")
	}
	return append(bad, idle(exampleExceptions, used)...)
}

var homes = regexp.MustCompile(`/home/[a-z]\w*/|/Users/\w+/|/root/\w|[A-Z]:\\Users\\`)

// standard are the top directories that every Linux has; whatever else a
// checkout lies under belongs to one machine.
var standard = []string{"tmp", "home", "root", "var", "usr", "opt", "srv", "mnt", "build", "src"}

// nobodysMachine wants no file to name a directory of one machine: a home, or
// the place where this checkout lies.
func nobodysMachine(tr *tree) []string {
	here := filepath.ToSlash(tr.root)
	if parts := strings.Split(here, "/"); len(parts) > 2 && !slices.Contains(standard, parts[1]) {
		here = "/" + parts[1] + "/"
	}
	var bad []string
	for _, f := range tr.files {
		for i, line := range strings.Split(string(f.text), "\n") {
			if homes.MatchString(line) || strings.Contains(line, here) {
				bad = append(bad, fmt.Sprintf("%s:%d: names a path of one machine", f.path, i+1))
			}
		}
	}
	return bad
}
