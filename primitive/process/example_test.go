// SPDX-License-Identifier: Apache-2.0

//go:build linux

package process_test

import (
	"fmt"
	"os/exec"
	"syscall"

	"github.com/parley-ipc/parley/primitive/process"
)

func Example() {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return
	}
	p, err := process.Open(cmd.Process.Pid)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = p.Close() }()
	fmt.Println("alive:", p.Alive())
	if err := p.Signal(syscall.SIGTERM); err != nil {
		fmt.Println(err)
	}
	<-p.Done()
	fmt.Println("alive:", p.Alive())
	_ = cmd.Wait()
	// Output:
	// alive: true
	// alive: false
}
