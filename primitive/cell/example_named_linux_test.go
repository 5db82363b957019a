// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"context"
	"fmt"
	"io"

	"github.com/parley-ipc/parley/primitive/cell"
	"github.com/parley-ipc/parley/primitive/shm"
)

// Reading is what a sensor tells whoever asks for "boiler".
type Reading struct {
	Celsius float64
	Valve   bool
}

// The reader would be another process, and may come when the writer has gone.
func ExampleCreateNamed() {
	ctx := context.Background()
	w, err := cell.CreateNamed[Reading](ctx, "boiler", cell.NamedConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = w.Set(Reading{Celsius: 81.5, Valve: true})
	fmt.Println(err, w.Close())

	r, err := cell.OpenNamed[Reading](ctx, "boiler", cell.NamedConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, seq, err := r.Get()
	fmt.Println(v, seq, err)
	_, _, err = r.Watch(ctx, seq)
	fmt.Println(err == io.EOF, r.Close())
	fmt.Println(shm.Unlink(ctx, "boiler", shm.NamedConfig{Kind: cell.Kind}, false))
	// Output:
	// <nil> <nil>
	// {81.5 true} 1 <nil>
	// true <nil>
	// <nil>
}
