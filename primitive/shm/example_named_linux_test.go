// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"fmt"

	"github.com/parley-ipc/parley/primitive/shm"
)

// Any process of this user that opens "settings" has the same memory.
func ExampleOpenNamed() {
	ctx := context.Background()
	c := shm.NamedConfig{Size: 4096, Init: func(b []byte) error {
		copy(b, "nobody sees this half-written")
		return nil
	}}
	n, err := shm.OpenNamed(ctx, "settings", c)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = n.Close() }()

	reader, err := shm.OpenNamed(ctx, "settings", shm.NamedConfig{ReadOnly: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = reader.Do(func() { fmt.Printf("%s\n", reader.Bytes()[:29]) })
	fmt.Println(err, reader.Close())

	infos, err := shm.ListNamed(ctx, shm.NamedOptions{Kind: shm.DefaultKind})
	for _, i := range infos {
		if i.Name == "settings" {
			fmt.Println(i.Name, i.Kind, i.Size, i.Used, err)
		}
	}
	fmt.Println(shm.Unlink(ctx, "settings", shm.NamedConfig{}, true))
	// Output:
	// nobody sees this half-written
	// <nil> <nil>
	// settings segment 4096 true <nil>
	// <nil>
}
