// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/auth"
)

// TestExamples runs each program under examples/ as it is, and wants what its
// doc comment says it prints; … stands for what differs from run to run.
func TestExamples(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux: the examples use shared memory")
	}
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./examples/...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	sources, err := filepath.Glob("examples/*/main.go")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, source := range sources {
		name := filepath.Base(filepath.Dir(source))
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "node") {
				needNode(t)
			}
			want := printed(t, source)
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, name))
			cmd.Env = append(os.Environ(), "PARLEY_RUNTIME_DIR="+shortDir(t))
			var stderr strings.Builder
			cmd.Stderr = &stderr
			got, err := cmd.Output()
			if err != nil || stderr.Len() > 0 {
				t.Errorf("%v\nstderr: %s", err, &stderr)
			}
			if !matches(want, string(got)) {
				t.Errorf("printed:\n%s\nits doc comment says:\n%s", got, want)
			}
		})
	}
}

func matches(want, got string) bool {
	re := strings.ReplaceAll(regexp.QuoteMeta(want), "…", `[^\n]+`)
	return regexp.MustCompile("^" + re + "$").MatchString(got)
}

// needNode skips where there is no Node.js with the example's packages, which
// .ci/run installs.
func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs Node.js: ", err)
	}
	if _, err := os.Stat("examples/node/node_modules/@grpc/grpc-js/package.json"); err != nil {
		t.Skip("needs `npm ci` in examples/node: ", err)
	}
}

var reader = regexp.MustCompile(`uid:1000\b`) // in a doc comment

// printed is the block after "It prints:" in the package comment.
func printed(t *testing.T, source string) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(f.Doc.Text(), "It prints:\n\n")
	if !ok {
		t.Fatalf("%s does not say what it prints", source)
	}
	var lines strings.Builder
	for line := range strings.Lines(block) {
		text, indented := strings.CutPrefix(line, "\t")
		if !indented {
			break
		}
		lines.WriteString(text)
	}
	return reader.ReplaceAllString(lines.String(), auth.Self().String())
}

// shortDir is a directory of the test's own with a path short enough for a
// socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "p") //nolint:usetesting // t.TempDir is too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
