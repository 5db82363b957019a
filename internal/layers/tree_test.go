// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"bytes"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tree is the source of one module as it lies on disk, nested modules and
// testdata included as text but not as packages.
type tree struct {
	root   string // of the module, on this machine
	module string // its import path
	files  []file
	fset   *token.FileSet
}

// file is one text file of a tree.
type file struct {
	path string // from the root, with slashes
	text []byte
	ast  *ast.File // nil unless it belongs to a package of this module
}

func (f file) dir() string  { return path.Dir(f.path) }
func (f file) base() string { return path.Base(f.path) }
func (f file) isGo() bool   { return strings.HasSuffix(f.path, ".go") }
func (f file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }
func (f file) name() string { return strings.TrimSuffix(f.base(), ".go") }

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func (f file) isGenerated() bool { return generated.Match(f.text) }

// imports returns the import paths of a parsed file.
func (f file) imports() []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
		paths = append(paths, p)
	}
	return paths
}

// constraint returns the file's go:build expression, or nil.
func (f file) constraint() constraint.Expr {
	for line := range bytes.Lines(f.text) {
		if s := string(bytes.TrimSpace(line)); constraint.IsGoBuild(s) {
			x, err := constraint.Parse(s)
			if err == nil {
				return x
			}
		}
	}
	return nil
}

// skipped are directories whose content is not the module's source.
var skipped = []string{".git", "bin", "dist", "node_modules"}

// load reads the tree that begins at root.
func load(t *testing.T, root, module string) *tree {
	t.Helper()
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	tr := &tree{root: abs, module: module, fset: token.NewFileSet()}
	foreign := map[string]bool{} // directories that are no packages of this module
	err = filepath.WalkDir(abs, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(abs, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			return tr.enter(rel, foreign)
		}
		if !d.Type().IsRegular() || rel == ".git" { // a worktree has a file of that name
			return nil
		}
		return tr.read(rel, foreign[path.Dir(rel)])
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func (tr *tree) enter(rel string, foreign map[string]bool) error {
	name := path.Base(rel)
	if slices.Contains(skipped, name) || rel == "internal/layers/testdata" {
		return fs.SkipDir
	}
	_, err := os.Stat(filepath.Join(tr.root, rel, "go.mod"))
	nested := err == nil && rel != "."
	foreign[rel] = foreign[path.Dir(rel)] && rel != "." || nested || name == "testdata" || name != "." && name[0] == '.'
	return nil
}

func (tr *tree) read(rel string, foreign bool) error {
	text, err := os.ReadFile(filepath.Join(tr.root, rel))
	if err != nil {
		return err
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil // not text
	}
	f := file{path: rel, text: text}
	if f.isGo() && !foreign {
		f.ast, err = parser.ParseFile(tr.fset, rel, text, parser.ParseComments|parser.SkipObjectResolution)
	}
	tr.files = append(tr.files, f)
	return err
}

// goFiles returns the files of this module's packages.
func (tr *tree) goFiles() []file {
	return slices.DeleteFunc(slices.Clone(tr.files), func(f file) bool { return f.ast == nil })
}

// packages returns the directories that hold a non-test Go file, with those
// files.
func (tr *tree) packages() map[string][]file {
	pkgs := map[string][]file{}
	for _, f := range tr.goFiles() {
		if !f.isTest() {
			pkgs[f.dir()] = append(pkgs[f.dir()], f)
		}
	}
	return pkgs
}

// own returns the directory of an import of this module, or "".
func (tr *tree) own(imported string) string {
	if imported == tr.module {
		return "."
	}
	rest, ok := strings.CutPrefix(imported, tr.module+"/")
	if !ok {
		return ""
	}
	return rest
}

// public reports whether a user may import dir.
func public(dir string, files []file) bool {
	return files[0].ast.Name.Name != "main" && !slices.Contains(strings.Split(dir, "/"), "internal") && !strings.HasPrefix(dir, "examples")
}
