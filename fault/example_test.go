// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"errors"
	"fmt"

	"github.com/parley-ipc/parley/fault"
)

func Example() {
	err := fault.New(fault.Denied, "dial", "shm://orders", nil).WithHint("ask for a rule")
	fmt.Println(err)
	fmt.Println(errors.Is(err, fault.Denied), fault.KindOf(err))
	// Output:
	// dial shm://orders: denied (ask for a rule)
	// true denied
}
