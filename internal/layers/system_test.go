// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

var (
	unsafeName = regexp.MustCompile(`_unsafe(_[a-z0-9]+)*$`)
	systemName = regexp.MustCompile(`_(linux|unix|darwin|windows|bsd|other)(_(amd64|arm64|386|arm))?(_test)?$`)
	// Go reads _linux and the like from a file's name, but not these.
	needsLine = regexp.MustCompile(`_(unix|bsd|other)(_(amd64|arm64|386|arm))?(_test)?$`)
)

// unsafeIsMarked is the first half of rule 5. A test that pins a layout may
// ask for sizes and offsets, which are constants, wherever it stands.
func unsafeIsMarked(tr *tree) []string {
	var bad []string
	for _, f := range tr.goFiles() {
		if !f.isGenerated() && slices.Contains(f.imports(), "unsafe") && !unsafeName.MatchString(strings.TrimSuffix(f.name(), "_test")) && !(f.isTest() && onlyMeasures(f)) {
			bad = append(bad, f.path+": imports unsafe: move that to a *_unsafe.go file")
		}
	}
	return bad
}

func onlyMeasures(f file) bool {
	only := true
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "unsafe" {
				only = only && slices.Contains([]string{"Sizeof", "Offsetof", "Alignof"}, sel.Sel.Name)
			}
		}
		return true
	})
	return only
}

// everywhere are the names of syscall that exist on each system that must
// build: errors, a few signals, and the interfaces of raw connections.
var everywhere = regexp.MustCompile(`^(E[A-Z0-9]+|Errno|Signal|SIG(HUP|INT|TERM|KILL)|Conn|RawConn)$`)

// systemExceptions excuse a file that asks for the system without a suffix.
var systemExceptions = []exception{
	{"cmd/parley/version.go", "runtime.GOOS", "prints it"},
}

// systemIsSuffixed is the second half of rule 5: what only some systems have
// (x/sys, most of syscall, a question of runtime.GOOS) stays behind a suffix. Tests
// are free, but not to do without a build constraint where they need one: vet
// for the other systems sees to that.
func systemIsSuffixed(tr *tree) []string {
	used := map[exception]bool{}
	var bad []string
	for _, f := range tr.goFiles() {
		if needsLine.MatchString(f.name()) && f.constraint() == nil {
			bad = append(bad, f.path+": its suffix means nothing to Go: add a //go:build line")
		}
		if f.isTest() || systemName.MatchString(f.name()) {
			continue
		}
		for _, what := range systemUses(f) {
			if e, ok := find(systemExceptions, f.path, what); ok {
				used[e] = true
				continue
			}
			bad = append(bad, fmt.Sprintf("%s: uses %s without a suffix such as _linux, _unix or _other", f.path, what))
		}
	}
	return append(bad, idle(systemExceptions, used)...)
}

func systemUses(f file) []string {
	var uses []string
	for _, imported := range f.imports() {
		if strings.HasPrefix(imported, "golang.org/x/sys/") {
			uses = append(uses, imported)
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, _ := sel.X.(*ast.Ident)
		switch {
		case pkg == nil:
		case pkg.Name == "runtime" && sel.Sel.Name == "GOOS", pkg.Name == "syscall" && !everywhere.MatchString(sel.Sel.Name):
			uses = append(uses, pkg.Name+"."+sel.Sel.Name)
		}
		return true
	})
	return uses
}

func find(table []exception, from, to string) (exception, bool) {
	for _, e := range table {
		if e.from == from && e.to == to {
			return e, true
		}
	}
	return exception{}, false
}

// initAllowed are the files that may have an init function, and why.
var initAllowed = map[string]string{
	"rpc/register.go": "grpc-go's registry of codecs may be written during initialization only",
}

// noInit is rule 11: nothing registers itself behind the reader's back.
func noInit(tr *tree) []string {
	var bad []string
	for _, f := range tr.goFiles() {
		if initAllowed[f.path] != "" {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !f.isGenerated() {
				bad = append(bad, f.path+": has an init function")
			}
		}
	}
	return bad
}
