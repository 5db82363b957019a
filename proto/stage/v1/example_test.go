// SPDX-License-Identifier: Apache-2.0

package stage_test

import (
	"fmt"

	stage "github.com/parley-ipc/parley/proto/stage/v1"
)

func Example() {
	order := &stage.Order{Size: 1024, Count: 3}
	fmt.Println(order.GetSize()*int32(order.GetCount()), stage.Stage_Pour_FullMethodName)
	// Output: 3072 /parley.stage.v1.Stage/Pour
}
