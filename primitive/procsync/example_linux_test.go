// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-ipc/parley/primitive/procsync"
)

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	m, err := procsync.OpenMutex(ctx, "example", procsync.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = m.Close() }()

	err = m.Lock(ctx)
	if errors.Is(err, procsync.ErrOwnerDied) {
		// Repair what the lock protects, then:
		err = m.MarkConsistent()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	holder, _ := m.Holder()
	fmt.Println("held by this process:", holder.Alive, "with a token:", m.Token() > 0)
	if err := m.Unlock(); err != nil {
		fmt.Println(err)
	}
	_, held := m.Holder()
	fmt.Println("still held:", held)
	// Output:
	// held by this process: true with a token: true
	// still held: false
}

func ExampleSemaphore() {
	ctx := context.Background()
	s, err := procsync.OpenSemaphore(ctx, "example", 3, procsync.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Acquire(ctx, 2); err != nil {
		fmt.Println(err)
		return
	}
	_, ok, err := s.TryAcquire(2)
	fmt.Println(s.Available(), ok, err)
	_ = s.Release(2)
	// Output: 1 false <nil>
}
