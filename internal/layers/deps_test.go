// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"fmt"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// dependencies says which foreign modules importing a public package brings,
// on Linux, tests apart. First match wins; what is missing here brings
// nothing but golang.org/x/sys.
var dependencies = []struct {
	pattern string
	modules []string
	why     string
}{
	{"transport/transporttest", []string{
		"golang.org/x/net", "golang.org/x/text", "go.uber.org/goleak", "golang.org/x/sys",
		"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc",
	}, "nettest, goleak, and grpc-go as a user; only tests import the suite"},
	{"proto/*/*", []string{
		"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc",
		"golang.org/x/net", "golang.org/x/text", "golang.org/x/sys",
	}, "generated stubs, which are grpc's and protobuf's"},
	{"rpc", rpcModules, "gRPC's own types, codecs, health, reflection and HTTP/2 server, which calls are made of"},
	{"policy/file", []string{"go.yaml.in/yaml/v3", "github.com/fsnotify/fsnotify", "golang.org/x/sys"}, "the file's format and its reload; policy itself stays without"},
}

var rpcModules = []string{
	"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc",
	"golang.org/x/net", "golang.org/x/text", "golang.org/x/sys",
}

func allowed(dir string) []string {
	for _, d := range dependencies {
		if ok, _ := path.Match(d.pattern, dir); ok {
			return d.modules
		}
	}
	return []string{"golang.org/x/sys"}
}

// lightImports wants each public package to bring no module but those listed
// for it.
func lightImports(tr *tree, modulesOf map[string][]string) []string {
	var bad []string
	for dir, files := range tr.packages() {
		if !public(dir, files) {
			continue
		}
		for _, module := range modulesOf[dir] {
			if !slices.Contains(allowed(dir), module) {
				bad = append(bad, fmt.Sprintf("%s: brings %s", dir, module))
			}
		}
	}
	return bad
}

// modules asks the go command what each package of the module at root brings.
func modules(t *testing.T, tr *tree) map[string][]string {
	t.Helper()
	byPath := map[string]string{} // import path → foreign module
	const format = `{{with .Module}}{{if not .Main}}{{$.ImportPath}} {{.Path}}{{end}}{{end}}`
	for _, line := range goList(t, tr, "-deps", "-f", format, "./...") {
		p, m, _ := strings.Cut(line, " ")
		byPath[p] = m
	}
	result := map[string][]string{}
	for _, line := range goList(t, tr, "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...") {
		words := strings.Fields(line)
		dir := tr.own(words[0])
		for _, dep := range words[1:] {
			if m := byPath[dep]; m != "" && !slices.Contains(result[dir], m) {
				result[dir] = append(result[dir], m)
			}
		}
	}
	return result
}

func goList(t *testing.T, tr *tree, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e"}, args...)...)
	cmd.Dir = tr.root
	cmd.Env = append(cmd.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOOS=linux", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}
