// SPDX-License-Identifier: Apache-2.0

// Ratelimit lets four processes send requests, two of them at a time: a
// semaphore in shared memory counts, without a server. One of them is killed in
// the middle of a request, and its permit goes to the next.
//
// It prints:
//
//	one process was killed with a permit
//	4 processes sent 40 requests, never more than 2 at once
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/parley-ipc/parley/primitive/procsync"
)

const (
	atOnce    = 2
	processes = 4
	requests  = 10 // of each
)

// worker sends requests, each with a permit, and prints how many permits were
// taken meanwhile.
func worker(ctx context.Context) error {
	s, err := procsync.OpenSemaphore(ctx, "ratelimit", atOnce, procsync.Config{})
	if err != nil {
		return err
	}
	defer s.Close()
	for range requests {
		if _, err := s.Acquire(ctx, 1); err != nil {
			return err
		}
		fmt.Println(atOnce - s.Available())
		request()
		if err := s.Release(1); err != nil {
			return err
		}
	}
	return nil
}

// request stands for what takes a while, elsewhere.
func request() { time.Sleep(time.Millisecond) }

// hog takes a permit and does not give it back.
func hog(ctx context.Context) error {
	s, err := procsync.OpenSemaphore(ctx, "ratelimit", atOnce, procsync.Config{})
	if err != nil {
		return err
	}
	if _, err := s.Acquire(ctx, 1); err != nil {
		return err
	}
	fmt.Println("I have one")
	select {}
}

func run(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	doomed := exec.CommandContext(ctx, program, "hog")
	out, err := doomed.StdoutPipe()
	if err != nil {
		return err
	}
	if err := doomed.Start(); err != nil {
		return err
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it has its permit
		return err
	}
	_ = doomed.Process.Kill()
	_ = doomed.Wait()
	fmt.Println("one process was killed with a permit")

	outputs, errs := make([]string, processes), make([]error, processes)
	var wg sync.WaitGroup
	for i := range processes {
		wg.Go(func() {
			out, err := exec.CommandContext(ctx, program, "worker").Output()
			outputs[i], errs[i] = string(out), err
		})
	}
	wg.Wait()
	sent, most := 0, 0
	for i := range processes {
		if errs[i] != nil {
			return errs[i]
		}
		for _, taken := range strings.Fields(outputs[i]) {
			sent++
			most = max(most, int(taken[0]-'0'))
		}
	}
	if most > atOnce {
		return fmt.Errorf("%d at once", most)
	}
	fmt.Printf("%d processes sent %d requests, never more than %d at once\n", processes, sent, atOnce)
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	part := run
	if len(os.Args) > 1 {
		part = map[string]func(context.Context) error{"worker": worker, "hog": hog}[os.Args[1]]
	}
	if err := part(ctx); err != nil {
		log.Fatal(err)
	}
}
