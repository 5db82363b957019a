// SPDX-License-Identifier: Apache-2.0

//go:build linux

package shm_test

import (
	"fmt"
	"os"
	"syscall"

	"github.com/parley-ipc/parley/primitive/shm"
)

// The file would go to another process, over a unix socket or a shm
// connection (message.Conn.SendMemory).
func ExampleNewMemory() {
	m, err := shm.NewMemory("report", 1<<20)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = m.Close() }()
	b, _ := m.Bytes()
	copy(b, "written once")
	if err := m.Seal(); err != nil {
		fmt.Println(err)
		return
	}

	f, _ := m.File()
	fd, _ := syscall.Dup(int(f.Fd()))
	received, err := shm.OpenMemory(os.NewFile(uintptr(fd), "received"), 1<<20, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = received.Close() }()
	b, err = received.Bytes()
	fmt.Printf("%s, %v %v\n", b[:12], received.Frozen(), err)
	// Output: written once, true <nil>
}
