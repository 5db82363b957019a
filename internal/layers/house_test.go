// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/parley-ipc/parley"
)

// rules are all checks, by the name of their subtest. breaches are violations
// that testdata/bad must provoke.
var rules = []struct {
	name     string
	check    func(*tree) []string
	breaches []string
}{
	{"imports-point-down", importsPointDown, []string{
		"fault/up.go: imports transport",
		"transport/unix/unix.go: imports transport/tcp",
		"util/util.go: its folder has no floor",
	}},
	{"unsafe-is-marked", unsafeIsMarked, []string{"fault/up.go: imports unsafe"}},
	{"system-is-suffixed", systemIsSuffixed, []string{
		"transport/unix/unix.go: uses syscall.Getpid",
		"transport/tcp/tcp_other.go: its suffix means nothing",
	}},
	{"no-init", noInit, []string{"util/util.go: has an init function"}},
	{"one-sentence", oneSentence, []string{
		"transport/doc.go: the first paragraph",
		"fault: no package comment",
		"transport/unix/unix.go: the package comment belongs in doc.go",
	}},
	{"plain-names", plainNames, []string{`util: "util" says nothing`}},
	{"licensed", licensed, []string{"util/util.go: the first line is not"}},
	{"exampled", exampled, []string{"fault: no Example"}},
	{"nobodys-machine", nobodysMachine, []string{"docs/STATUS.md:9: names a path"}},
	{"links-lead", linksLead, []string{
		"docs/ARCHITECTURE.md: links to docs/gone.md",
		"docs/ARCHITECTURE.md: there is no fault/gone.go",
	}},
	{"sized", sized, []string{"util/util.go: long has"}},
	{"errors-listed", errorsListed, []string{"no section `Denied`"}},
	{"status-is-true", statusIsTrue, []string{
		"fault has no TestGone",
		"fault has no TestUp/nowhere",
		"has neither a proof",
		"there is no file cmd/parley/testdata/gone.txtar",
	}},
}

func TestHouse(t *testing.T) {
	tr := load(t, root, module)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { report(t, r.check(tr)) })
	}
	t.Run("dependencies", func(t *testing.T) { report(t, lightImports(tr, modules(t, tr))) })
}

func report(t *testing.T, violations []string) {
	t.Helper()
	slices.Sort(violations)
	for _, v := range slices.Compact(violations) {
		t.Error(v)
	}
}

// TestRulesCanFail runs each rule on a module that breaks it.
func TestRulesCanFail(t *testing.T) {
	tr := load(t, "testdata/bad", "example.test/bad")
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { provoked(t, r.check(tr), r.breaches...) })
	}
	t.Run("dependencies", func(t *testing.T) {
		provoked(t, lightImports(tr, modules(t, tr)), "transport/tcp: brings example.test/heavy")
	})
}

func provoked(t *testing.T, violations []string, breaches ...string) {
	t.Helper()
	for _, breach := range breaches {
		if !slices.ContainsFunc(violations, func(v string) bool { return strings.Contains(v, breach) }) {
			t.Errorf("no violation reads %q; there are:\n%s", breach, strings.Join(violations, "\n"))
		}
	}
}
