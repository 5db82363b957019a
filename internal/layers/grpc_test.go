// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryOptionOfGRPC: the guide for those who come from grpc-go says of each
// of its options whether we have it.
func TestEveryOptionOfGRPC(t *testing.T) {
	tr := load(t, root, module)
	guide := tr.text("docs/guides/from-grpc.md")
	files, err := filepath.Glob(filepath.Join(goList(t, tr, "-f", "{{.Dir}}", "google.golang.org/grpc")[0], "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, option := range options(file) {
			found++
			if !strings.Contains(guide, "`"+option+"`") {
				t.Errorf("docs/guides/from-grpc.md does not mention %s", option)
			}
		}
	}
	if found < 80 {
		t.Errorf("%d options: these cannot be all", found)
	}
}

// options are the exported functions of a file that make an option.
func options(file *ast.File) []string {
	var names []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !f.Name.IsExported() || f.Type.Results == nil || len(f.Type.Results.List) != 1 {
			continue
		}
		result, _ := f.Type.Results.List[0].Type.(*ast.Ident)
		if result != nil && (result.Name == "ServerOption" || result.Name == "DialOption" || result.Name == "CallOption") {
			names = append(names, f.Name.Name)
		}
	}
	return names
}
