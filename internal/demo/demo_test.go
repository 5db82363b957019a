// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// notPeer is a program that ends at once: this binary, without any test.
func notPeer(t *testing.T) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, "-test.run=^$"}
}

// TestFailuresShow: where the peer does not play along each check has failed,
// in the table, below it and in the sum.
func TestFailuresShow(t *testing.T) {
	rep, err := Run(t.Context(), Config{Program: notPeer(t), Only: func(m string) bool { return m == "tcp" }})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Failed != len(connectChecks) || rep.Passed != 0 || rep.Absent != 0 {
		t.Errorf("%d failed, %d passed, %d absent", rep.Failed, rep.Passed, rep.Absent)
	}
	var out bytes.Buffer
	if err := rep.Print(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FAILED tcp, bytes: ", "8 checks failed, 0 passed\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, &out)
		}
	}
}

func TestCancel(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := Run(ctx, Config{Program: notPeer(t), Progress: func(string, string) { cancel(cause) }})
	if !errors.Is(err, cause) {
		t.Errorf("it ended with %v", err)
	}
}

// TestNothingIsForgotten: a column that a mechanism says nothing about has
// failed.
func TestNothingIsForgotten(t *testing.T) {
	s := section{name: "s", tables: []table{{{check: "a"}, {check: "b"}, {check: "c"}}}}
	m := mechanism{"m", func(_ context.Context, _ *peer.Stage, tell func(string, finding, error)) {
		tell("a", finding{text: "fine"}, nil)
		tell("c", finding{}, fault.New(fault.Unsupported, "c", "", nil))
	}}
	var rep Report
	s.play(t.Context(), m, nil, nil, &rep)
	states := map[string]State{}
	for _, r := range rep.Results {
		states[r.Check] = r.State
	}
	if len(states) != 3 || states["a"] != Passed || states["b"] != Failed || states["c"] != Absent {
		t.Errorf("the checks ended as %v", states)
	}
}

// TestColumnsAreChecked: each check has a column, and each column a check.
func TestColumnsAreChecked(t *testing.T) {
	checks := map[string]bool{}
	for _, c := range connectChecks {
		checks[c.name] = true
	}
	for _, c := range sections()[0].columns() {
		if !checks[c.check] {
			t.Errorf("nothing checks the column %s", c.check)
		}
		delete(checks, c.check)
	}
	for name := range checks {
		t.Errorf("no column shows the check %s", name)
	}
}

func TestRefusedNeedsMoreThanSilence(t *testing.T) {
	for name, c := range map[string]struct {
		refusal peer.Refusal
		also    bool
		ok      bool
	}{
		"closed":        {peer.Refusal{Refused: true}, true, true},
		"told":          {peer.Refusal{Refused: true, Denied: true}, true, true},
		"got in":        {peer.Refusal{Bytes: 12}, true, false},
		"got a byte":    {peer.Refusal{Refused: true, Bytes: 1}, true, false},
		"timed out":     {peer.Refusal{Error: "timed out"}, true, false},
		"not confirmed": {peer.Refusal{Refused: true}, false, false},
	} {
		if _, err := refused(c.refusal, "somebody", c.also); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestColours(t *testing.T) {
	rep := Report{Results: []Result{{Section: "connect", Mechanism: "unix", Check: "bytes", State: Failed, Text: failedText}}, Failed: 1}
	var colour, plain bytes.Buffer
	if err := errors.Join(rep.Print(&colour, true), rep.Print(&plain, false)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(colour.String(), "\x1b[31mFAILED") {
		t.Errorf("with colours:\n%q\nwithout:\n%q", &colour, &plain)
	}
}
