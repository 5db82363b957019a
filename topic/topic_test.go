// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		filter  string
		yes, no []string
	}{
		{"", []string{"", "a", "a.b"}, nil},
		{">", []string{"a", "a.b"}, []string{""}},
		{"*", []string{"a"}, []string{"", "a.b"}},
		{"a", []string{"a"}, []string{"", "b", "a.a", "aa"}},
		{"a.*", []string{"a.b", "a.ccc"}, []string{"a", "a.b.c", "b.b", ""}},
		{"a.>", []string{"a.b", "a.b.c"}, []string{"a", "b.c", ""}},
		{"*.b.*", []string{"a.b.c"}, []string{"a.b", "a.c.b", "a.b.c.d"}},
		{"a.*.>", []string{"a.b.c", "a.b.c.d"}, []string{"a.b", "a"}},
		{"ä.*", []string{"ä.ö"}, []string{"a.ö"}},
	} {
		f, err := ParseFilter(c.filter)
		if err != nil || f.String() != c.filter || f.All() != (c.filter == "") {
			t.Fatalf("%q: %v, %v", c.filter, f, err)
		}
		for _, s := range c.yes {
			if !f.Match(s) {
				t.Errorf("%q does not match %q", c.filter, s)
			}
		}
		for _, s := range c.no {
			if f.Match(s) {
				t.Errorf("%q matches %q", c.filter, s)
			}
		}
	}
	for _, bad := range []string{".", "a.", ".a", "a..b", "a b", "a\n", ">.a", "a>", "*a.b", "**", "a.>.b", "\xff", strings.Repeat("a", MaxSubject+1)} {
		if _, err := ParseFilter(bad); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := CheckSubject(bad); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q as a subject: %v", bad, err)
		}
	}
	if err := errors.Join(CheckSubject(""), CheckSubject("a.b-c_d.ö"), CheckSubject(strings.Repeat("a", MaxSubject))); err != nil {
		t.Error(err)
	}
}

// FuzzFilter holds the matcher against one written the slow way.
func FuzzFilter(f *testing.F) {
	f.Add("a.*.>", "a.b.c.d")
	f.Add(">", "")
	f.Add("*", "a")
	f.Fuzz(func(t *testing.T, filter, subject string) {
		flt, err := ParseFilter(filter)
		if err != nil || CheckSubject(subject) != nil {
			return
		}
		if got, want := flt.Match(subject), slowMatch(filter, subject); got != want {
			t.Errorf("%q on %q: %v, want %v", filter, subject, got, want)
		}
	})
}

func slowMatch(filter, subject string) bool {
	if filter == "" || filter == subject {
		return true
	}
	if subject == "" {
		return false
	}
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	if n := len(want) - 1; want[n] == ">" {
		if len(have) <= n {
			return false
		}
		want, have = want[:n], have[:n]
	}
	return slices.EqualFunc(want, have, func(w, h string) bool { return w == "*" || w == h })
}

func TestHeadersRefused(t *testing.T) {
	for _, pairs := range [][]string{{"a"}, {"", "x"}, {"k", strings.Repeat("x", 1<<16)}} {
		if _, err := NewHeaders(pairs...); !errors.Is(err, fault.Invalid) {
			t.Errorf("%d strings: %v", len(pairs), err)
		}
	}
	long := strings.Repeat("x", 60000)
	if _, err := NewHeaders("a", long, "b", long); !errors.Is(err, fault.TooLarge) {
		t.Errorf("too many: %v", err)
	}
}

// FuzzHeaders: whatever arrives ends somewhere, and what NewHeaders makes of
// it reads back.
func FuzzHeaders(f *testing.F) {
	good, err := NewHeaders("key", "value", "k", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte{255, 255, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var pairs []string
		for k, v := range ReadHeaders(raw).All() {
			pairs = append(pairs, k, v)
		}
		h, err := NewHeaders(pairs...)
		if err != nil {
			return // an empty key
		}
		var again []string
		for k, v := range h.Clone().All() {
			again = append(again, k, v)
		}
		if !slices.Equal(pairs, again) {
			t.Errorf("%q became %q", pairs, again)
		}
		for i := len(pairs) - 2; i >= 0; i -= 2 {
			if _, ok := h.Get(pairs[i]); !ok {
				t.Errorf("no %q in %q", pairs[i], pairs)
			}
		}
	})
}

func TestPolicies(t *testing.T) {
	for _, p := range Policies() {
		if got, err := ParsePolicy(p.String()); err != nil || got != p {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
	if _, err := ParsePolicy("lossless"); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if !errors.Is(SubscribeConfig{Policy: 7}.Check(), fault.Invalid) {
		t.Error("policy 7 passes")
	}
}
