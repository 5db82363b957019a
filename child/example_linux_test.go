// SPDX-License-Identifier: Apache-2.0

package child_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/parley-ipc/parley/child"
)

// A program that knows nothing of Parley is kept running, and given up when it
// fails too often.
func ExampleStart() {
	c, err := child.Start(context.Background(), child.Config{
		Path: "sh", Args: []string{"-c", "echo working; exit 3"},
		Plain:   true,
		Stdout:  os.Stdout,
		Restart: child.OnFailure, MaxPerMinute: 2, FirstPause: time.Millisecond,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-c.Done()
	var exit *child.ExitError
	fmt.Println(errors.As(c.Err(), &exit), exit)
	// Output:
	// working
	// working
	// working
	// true exit status 3
}
