// SPDX-License-Identifier: Apache-2.0

package token

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func sample(name string) string {
	return `{"name":"` + name + `","sha256":"` + hashOf(name) + `","scope":["call:rpc:/a/*"],"created":"2026-01-02T03:04:05Z"}` + "\n"
}

func TestDecodeRefuses(t *testing.T) {
	if all, err := decode([]byte(sample("a") + "\n" + sample("b"))); err != nil || len(all) != 2 {
		t.Fatalf("two tokens: %v, %v", all, err)
	}
	for name, text := range map[string]string{
		"the same name":   sample("a") + sample("a"),
		"the same secret": sample("a") + strings.Replace(sample("a"), `"a"`, `"b"`, 1),
		"unknown field":   strings.Replace(sample("a"), "created", "expire", 1),
		"no scope":        strings.Replace(sample("a"), `"call:rpc:/a/*"`, "", 1),
		"bad scope":       strings.Replace(sample("a"), "call:", "fly:", 1),
		"short hash":      strings.Replace(sample("a"), hashOf("a"), hashOf("a")[2:], 1),
		"two objects":     strings.TrimSpace(sample("a")) + sample("b"),
		"no JSON":         "hello\n",
		"too large":       strings.Repeat("\n", maxFile+1),
	} {
		if all, err := decode([]byte(text)); err == nil {
			t.Errorf("%s: decoded to %+v", name, all)
		}
	}
}

// FuzzDecode: what decodes, encodes to what decodes to the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(sample("a") + sample("b")))
	f.Add([]byte(strings.Replace(sample("a"), "}", `,"expires":"2027-01-02T03:04:05+01:00"}`, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := decode(text)
		if err != nil {
			return
		}
		first, err := encode(all)
		if err != nil {
			return // longer than the limit once spelt out
		}
		again, err := decode(first)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, first, err)
		}
		second, err := encode(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%q, then %q: %v", first, second, err)
		}
		for _, e := range all {
			_ = e.Expired(time.Time{})
		}
	})
}
