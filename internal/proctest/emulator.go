// SPDX-License-Identifier: Apache-2.0

package proctest

import (
	"os"
	"strings"
	"testing"
)

// emulatorEnv names the program, with arguments, that runs this test's binary
// because the machine cannot: the one that was given to go test -exec.
// Children are started by it, too.
const emulatorEnv = "PARLEY_EXEC"

func emulator() []string { return strings.Fields(os.Getenv(emulatorEnv)) }

// NeedsKernel skips a test under an emulator of processors that answers what
// the kernel should: why says what it does not do as the kernel does.
func NeedsKernel(t testing.TB, why string) {
	t.Helper()
	if e := emulator(); len(e) > 0 {
		t.Skipf("runs under %s, which %s", e[0], why)
	}
}
