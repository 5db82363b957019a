// SPDX-License-Identifier: Apache-2.0

// Single is a program that runs once at a time: the second one started says so
// and ends, and a killed one stands in nobody's way. It starts itself to show it.
//
// It prints:
//
//	the first one runs
//	the second one: it runs already
//	the first one was killed
//	the third one runs
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"time"

	"github.com/parley-ipc/parley/primitive/procsync"
)

// single is all that a program needs.
func single(ctx context.Context) (release func() error, err error) {
	m, err := procsync.OpenMutex(ctx, "single-example", procsync.Config{})
	if err != nil {
		return nil, err
	}
	ok, err := m.TryLock()
	if errors.Is(err, procsync.ErrOwnerDied) {
		err = m.MarkConsistent() // the one before was killed: nothing to repair here
	}
	if err == nil && !ok {
		err = errors.New("it runs already")
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m.Close, nil
}

// program runs until its stdin ends.
func program(ctx context.Context) {
	release, err := single(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("runs")
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = release()
}

// started is a running copy of us, with the line that it printed.
func started(ctx context.Context) (cmd *exec.Cmd, line string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd = exec.CommandContext(ctx, self, "program")
	if _, err := cmd.StdinPipe(); err != nil { // closed when we end
		return nil, "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	b := make([]byte, 100)
	n, err := out.Read(b)
	return cmd, string(b[:n]), err
}

func show(ctx context.Context) error {
	first, line, err := started(ctx)
	if err != nil {
		return err
	}
	fmt.Print("the first one ", line)
	second, line, err := started(ctx)
	if err != nil {
		return err
	}
	fmt.Print("the second one: ", line)
	_ = second.Wait()
	_ = first.Process.Kill()
	_ = first.Wait()
	fmt.Println("the first one was killed")
	third, line, err := started(ctx)
	if err != nil {
		return err
	}
	fmt.Print("the third one ", line)
	_ = third.Process.Kill()
	_ = third.Wait()
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if len(os.Args) > 1 {
		program(ctx)
		return
	}
	if err := show(ctx); err != nil {
		log.Fatal(err)
	}
}
