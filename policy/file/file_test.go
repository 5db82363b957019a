// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/policy/file"
)

// stranger is neither root nor us.
var stranger = auth.Identity{Method: auth.Kernel, HasUID: true, UID: uint32(os.Geteuid()) + 1001, GID: 7}

// allow is a policy in which strangers may call the one method.
func allow(method string) string {
	return fmt.Sprintf("rules:\n- who: [\"*\"]\n  may: [call]\n  on: [\"rpc:/%s\"]\n", method)
}

func may(a auth.Authorizer, method string) bool {
	return a.Authorize(context.Background(), stranger, auth.Call, "rpc:/"+method) == nil
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	const text = `
# who renders, and who bills
rules:
  - who: [gid:7, "spiffe://corp/billing/*"]
    may: [connect, call]
    on: ["endpoint:shm://orders", "rpc:/orders.v1.Orders/*"]
  - {who: ["*"], may: ["*"], on: ['rpc:/orders.v1.Orders/Delete'], deny: true}
`
	p, err := file.Parse("policy.yaml", []byte(text), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d := p.Explain(stranger, auth.Call, "rpc:/orders.v1.Orders/Get"); !d.Allowed || d.Position != "policy.yaml:4" {
		t.Errorf("got %+v", d)
	}
	if d := p.Explain(stranger, auth.Call, "rpc:/orders.v1.Orders/Delete"); d.Allowed || d.Position != "policy.yaml:7" {
		t.Errorf("got %+v", d)
	}
	if p, err := file.Parse("", []byte("rules: []"), policy.Options{}); err != nil || p.Len() != 0 {
		t.Errorf("no rules, said explicitly: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	const ok = `who: ["*"], may: [call], on: ["rpc:*"]`
	for _, c := range []struct{ text, want string }{
		{"", "f:1:1: the file is empty (write: rules:"},
		{"# nothing\n", "f:1:1: the file is empty"},
		{"rules:\n", "f:1:7: rules is a list, not nothing"},
		{"- x\n", "f:1:1: a policy is a mapping with the key rules, not a list"},
		{"{}", "f:1:1: the key rules is missing"},
		{"rules: []\nrulez: []", `f:2:1: unknown key "rulez" (a policy has only the key rules)`},
		{"rules: []\nrules: []", "f:2:1: the key rules is there twice"},
		{"rules: [x]", `f:1:9: a rule is a mapping, not the word "x"`},
		{"rules:\n- {" + ok + ", whom: [a]}", `f:2:44: unknown key "whom" (a rule has who, may, on and deny)`},
		{"rules:\n- {" + ok + ", who: [\"*\"]}", "f:2:44: the key who is there twice"},
		{"rules:\n- {" + ok + ", deny: yes}", `f:2:50: deny is true or false, not the word "yes" (write deny: true)`},
		{"rules:\n- {" + ok + `, deny: "true"}`, "f:2:50: deny is true or false, not the word"},
		{"rules:\n- {" + ok + ", deny: }", "deny is true or false, not nothing"},
		{"rules:\n- {may: [call], on: [\"rpc:*\"]}", "f:2:3: who is empty"},
		{"rules:\n- {who: [], may: [call], on: [\"rpc:*\"]}", "f:2:9: who is empty (write uid:N"},
		{"rules:\n- who: bob\n  may: [call]\n  on: [\"rpc:*\"]", `f:2:8: who is a list, not the word "bob" (write who: ["bob"])`},
		{"rules:\n- who: [1000]\n  may: [call]\n  on: [\"rpc:*\"]", "f:2:9: each entry of who is a word, not the number 1000 (write uid:1000 or gid:1000)"},
		{"rules:\n- who: [[a]]\n  may: [call]\n  on: [\"rpc:*\"]", "f:2:9: each entry of who is a word, not a list"},
		{"rules:\n- who: [uid: 5]\n  may: [call]\n  on: [\"rpc:*\"]", "f:2:9: each entry of who is a word, not a mapping"},
		{"rules:\n- who: [uid:5, user:no-such-user-here]\n  may: [call]\n  on: [\"rpc:*\"]", `f:2:16: there is no user "no-such-user-here" on this machine`},
		{"rules:\n- who: [uid:5]\n  may: [call, conect]\n  on: [\"rpc:*\"]", `f:3:15: unknown action "conect" (did you mean connect?)`},
		{"rules:\n- who: [uid:5]\n  may:\n  - call\n  on:\n  - \"rpc:*\"\n  - topic:***", `f:7:5: "***" means nothing`},
		{"rules:\n- who: [*]\n  may: [call]", `f:2:9: a bare * means something else in YAML (write "*" with quotes)`},
		{"rules:\n- who: [\"a\", *]", "f:2:14: a bare *"},
		{"rules:\n- who: *\n  may: [call]", "f:2:8: a bare *"},
		{"rules:\n\t- who: [uid:5]", "f:2:1: a tab where YAML wants spaces"},
		{"rules:\n- who: [uid:5\n  may: x]]", "not YAML: "},
		{"x: &a [1]\nrules: *a", "aliases and anchors are not allowed"},
		{"rules: &a []", "f:1:8: aliases and anchors are not allowed"},
		{"rules: !!seq []", "the tag !!seq is not allowed"},
		{"rules: []\n---\nrules: []", "there is a second document"},
		{"rules: []\nrules2: [", "not YAML: "},
		{"rules: \x01", "not YAML: "},
		{"<<: {rules: []}", `unknown key "<<"`},
	} {
		_, err := file.Parse("f", []byte(c.text), policy.Options{})
		var ms file.Mistakes
		if !errors.Is(err, fault.Invalid) || !errors.As(err, &ms) || !strings.Contains(ms.Error(), c.want) {
			t.Errorf("%q:\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestAllMistakesInOrder(t *testing.T) {
	const text = "rules:\n- {who: [bob], may: [fly], on: [moon]}\n- {may: [call], on: [5]}\nmore: 1\n"
	_, err := file.Parse("f", []byte(text), policy.Options{})
	var ms file.Mistakes
	if !errors.As(err, &ms) {
		t.Fatal(err)
	}
	var at []string
	for _, m := range ms {
		at = append(at, fmt.Sprintf("%d:%d", m.Line, m.Column))
	}
	if got := strings.Join(at, " "); got != "2:10 2:22 2:33 3:3 3:22 4:1" {
		t.Errorf("got %s:\n%v", got, err)
	}
	many := "rules:\n" + strings.Repeat("- {who: [bob], may: [call], on: [\"rpc:*\"]}\n", 50)
	_, err = file.Parse("f", []byte(many), policy.Options{})
	if !errors.As(err, &ms) || len(ms) != 21 || !strings.Contains(ms[20].What, "30 more") {
		t.Errorf("got %d mistakes: %v", len(ms), err)
	}
}

func TestAliasBombIsRefusedUnexpanded(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x]\n")
	for i := 1; i < 60; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9))
	}
	b.WriteString("rules: *a59\n")
	if _, err := file.Parse("f", []byte(b.String()), policy.Options{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "policy.yaml")
	if _, err := file.Load(path, policy.Options{}); !errors.Is(err, fault.NotFound) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := file.Load(dir, policy.Options{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a directory: %v", err)
	}
	write(t, path, "rules: [] #"+strings.Repeat("x", file.MaxSize))
	if _, err := file.Load(path, policy.Options{}); !errors.Is(err, fault.TooLarge) {
		t.Errorf("a large file: %v", err)
	}
	write(t, path, allow("a"))
	if p, err := file.Load(path, policy.Options{}); err != nil || !may(p, "a") || may(p, "b") {
		t.Errorf("got %v", err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	flag, env := filepath.Join(dir, "flag.yaml"), filepath.Join(dir, "env.yaml")
	config := filepath.Join(dir, "parley", "policy.yaml")
	if err := os.Mkdir(filepath.Dir(config), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{flag, env, config} {
		write(t, p, "rules: []")
	}
	find := func(flag, env, xdg, home string) (string, error) {
		t.Setenv("PARLEY_POLICY", env)
		t.Setenv("XDG_CONFIG_HOME", xdg)
		t.Setenv("HOME", home)
		return file.Find(flag)
	}
	missing := filepath.Join(dir, "missing")
	for _, c := range []struct {
		what, flag, env, xdg, want string
		fails                      bool
	}{
		{"the flag first", flag, env, dir, flag, false},
		{"then the environment", "", env, dir, env, false},
		{"then the config directory", "", "", dir, config, false},
		{"a flag without its file", missing, env, dir, "", true},
		{"an environment without its file", "", missing, dir, "", true},
	} {
		got, err := find(c.flag, c.env, c.xdg, dir)
		if got != c.want || (err != nil) != c.fails || c.fails && !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: got %q, %v", c.what, got, err)
		}
	}
	if _, err := os.Stat("/etc/parley/policy.yaml"); err != nil {
		if got, err := find("", "", missing, dir); got != "" || err != nil {
			t.Errorf("none: got %q, %v", got, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, ".config", "parley"), 0o700); err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(dir, ".config", "parley", "policy.yaml")
	write(t, config, "rules: []")
	if got, err := find("", "", "", dir); got != config || err != nil {
		t.Errorf("~/.config: got %q, %v", got, err)
	}
	if err := errors.Join(os.Remove(config), os.Symlink("nowhere", config)); err != nil {
		t.Fatal(err)
	}
	if got, err := find("", "", "", dir); got != config || err != nil {
		t.Errorf("a dangling link is passed over for another policy: got %q, %v", got, err)
	}
	if got, err := find("", "", "relative", dir); got != config || err != nil {
		t.Errorf("a relative XDG_CONFIG_HOME: got %q, %v", got, err)
	}
}

// everybody knows every user and every group.
type everybody struct{}

func (everybody) UserID(string) (uint32, error)  { return 4001, nil }
func (everybody) GroupID(string) (uint32, error) { return 4001, nil }

// TestGuide loads the example of the guide.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "policy.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the guide has no example")
	}
	p, err := file.Parse("policy.yaml", []byte(example), policy.Options{Lookup: everybody{}})
	if err != nil {
		t.Fatal(err)
	}
	render := auth.Identity{Method: auth.Kernel, HasUID: true, UID: stranger.UID, Groups: []uint32{4001}}
	for resource, want := range map[string]bool{"rpc:/orders.v1.Orders/Get": true, "rpc:/orders.v1.Orders/Delete": false} {
		if d := p.Explain(render, auth.Call, resource); d.Allowed != want || d.Rule == 0 {
			t.Errorf("%s: %+v", resource, d)
		}
	}
}
