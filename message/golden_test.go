// SPDX-License-Identifier: Apache-2.0

package message

import (
	"encoding/hex"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

// transcript reads a file of hex digits with comments.
func transcript(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	digits := regexp.MustCompile(`#.*|\s`).ReplaceAllString(string(text), "")
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGoldenV1 pins wire version 1: these bytes never change.
func TestGoldenV1(t *testing.T) {
	for file, g := range map[string]goodbye{
		"testdata/v1-orderly.hex": {},
		"testdata/v1-refused.hex": {early: true, reason: fault.Denied},
		"testdata/v1-reason.hex":  {early: true, reason: fault.TooLarge, why: "a message of 11 bytes, at most 10 are allowed"},
	} {
		t.Run(file, func(t *testing.T) {
			want := transcript(t, file)
			r := &recorder{}
			c := NewConn(r, Config{})
			if !strings.Contains(file, "refused") {
				for _, p := range []string{"hello", "", "parley"} {
					send(t, c, p)
				}
			}
			if err := c.close(g); err != nil {
				t.Fatal(err)
			}
			if string(r.out) != string(want) {
				t.Fatalf("written:\n%x\nwant:\n%x", r.out, want)
			}
			readBack(t, want, g)
		})
	}
}

func readBack(t *testing.T, in []byte, g goodbye) {
	t.Helper()
	c := NewConn(&playback{in: in, size: func() int { return len(in) }}, Config{})
	defer func() { _ = c.Close() }()
	if g.reason != fault.Denied {
		for _, p := range []string{"hello", "", "parley"} {
			wantReceive(t, c, p)
		}
	}
	err := receiveErr(t, c)
	if !g.early {
		wantErr(t, err, io.EOF)
		return
	}
	wantErr(t, err, g.reason)
	if !strings.Contains(err.Error(), g.why) {
		t.Fatalf("%v does not say %q", err, g.why)
	}
}
