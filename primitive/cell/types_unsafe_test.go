// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"testing"
	"unsafe"

	"github.com/parley-ipc/parley/fault"
)

func TestRefusedUnsafePointer(t *testing.T) {
	refused[unsafe.Pointer](t, fault.Invalid, "value is a unsafe.Pointer")
}
