// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/policy/file"
)

// nobody knows no user and no group, so that fuzzing reads no accounts.
type nobody struct{}

func (nobody) UserID(string) (uint32, error)  { return 0, errors.New("there is no such user") }
func (nobody) GroupID(string) (uint32, error) { return 0, errors.New("there is no such group") }

// FuzzParse: any text gives a policy that answers, or mistakes at places that
// lie in the text; nothing else.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", allow("a"), "rules: [*]", "rules: *x", "a: &a [*a]", "rules: !!binary x", "- - - -", "\trules:", "rules: []\n---\n[",
		"rules:\n- {who: [uid:1, \"spiffe://a/**\"], may: [\"*\"], on: [\"*\", 'rpc:/?/*'], deny: true}\n",
		"rules: [{who: bob, may: , on: [[]]}, {<<: x}, 5]", "? [a]\n: b", "\xff\xfe", "{{{{{{", "rules: |\n  x\n", "\r\n\u2028rules: [a",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := file.Parse("f", text, policy.Options{Lookup: nobody{}})
		if err == nil {
			p.Explain(auth.Identity{}, auth.Call, "rpc:/a/b")
			return
		}
		var ms file.Mistakes
		if !errors.Is(err, fault.Invalid) || !errors.As(err, &ms) || len(ms) == 0 || len(ms) > 21 {
			t.Fatalf("got %v", err)
		}
		for _, m := range ms {
			if m.Line < 1 || m.Column < 1 || m.What == "" {
				t.Errorf("no place or no reason: %+v", m)
			}
		}
	})
}

func TestLint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	lint := func(text string) (file.Report, string) {
		write(t, path, text)
		r, err := file.Lint(path, policy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r, strings.ReplaceAll(r.Warnings.Error(), path, "f")
	}
	if r, warnings := lint(allow("a/b")); r.Rules != 1 || len(r.Mistakes) != 0 || warnings != "" {
		t.Errorf("got %+v", r)
	}
	const odd = "rules:\n- who: [uid:7, anonymous, uid:7]\n  may: [call]\n  on: [\"rpc:*\"]\n- who: [uid:7]\n  may: [call]\n  on: [\"rpc:/a.*\"]\n"
	_, warnings := lint(odd)
	for _, want := range []string{"f:2:27: uid:7 is there twice", "f:4:8: anonymous", "f:5:3: this rule adds nothing: rule 1 (f:2)", "f:7:8: no rpc can ever match"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("got\n%s\nwant %s", warnings, want)
		}
	}
	if _, warnings := lint("rules: []"); !strings.Contains(warnings, "only the owner and root") {
		t.Errorf("got %s", warnings)
	}
	if r, _ := lint("rules: [x]"); len(r.Mistakes) != 1 || len(r.Warnings) != 0 {
		t.Errorf("got %+v", r)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Lint(path, policy.Options{}); !errors.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}
