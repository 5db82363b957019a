// SPDX-License-Identifier: Apache-2.0

package greeter_test

import (
	"context"
	"fmt"

	greeter "github.com/parley-ipc/parley/proto/greeter/v1"
)

func Example() {
	var server greeter.GreeterServer = greeter.Polite{}
	answer, err := server.Greet(context.Background(), &greeter.GreetRequest{Name: "you"})
	fmt.Println(answer.GetText(), err)
	_, err = server.Greet(context.Background(), &greeter.GreetRequest{})
	fmt.Println(err)
	// Output:
	// hello, you <nil>
	// rpc error: code = InvalidArgument desc = nobody to greet: give a name
}
