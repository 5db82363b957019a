// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/parley-ipc/parley/internal/demo"
)

// TestDemoExitCode: a check that failed is the exit code, in both outputs.
func TestDemoExitCode(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		a := &app{out: &out, json: asJSON}
		if err := a.printDemo(demo.Report{Passed: 3, Absent: 1}); err != nil {
			t.Errorf("nothing failed (JSON %v): %v", asJSON, err)
		}
		var code codeError
		if err := a.printDemo(demo.Report{Passed: 3, Failed: 1}); !errors.As(err, &code) || code != exitFailed {
			t.Errorf("one check failed (JSON %v): %v", asJSON, err)
		}
		if out.Len() == 0 {
			t.Errorf("nothing was printed (JSON %v)", asJSON)
		}
	}
}
