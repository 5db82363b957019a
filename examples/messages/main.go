// SPDX-License-Identifier: Apache-2.0

// Messages sends whole messages, from many goroutines at once, to another
// process, which can tell an orderly end from a cut.
//
// It prints:
//
//	receiver: 400 whole messages, 100 in order from each of 4 goroutines, and a goodbye
//	sender: the peer counted 400
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/message"
)

const (
	address = "shm://example-messages"
	senders = 4
	each    = 100
)

func receive(ctx context.Context) error {
	ln, err := parley.Listen(ctx, address)
	if err != nil {
		return err
	}
	defer ln.Close()
	c, err := ln.AcceptConn(ctx)
	if err != nil {
		return err
	}
	conn := message.NewConn(c, message.Config{MaxSize: 1 << 20})
	defer conn.Close()
	var next [senders]int
	for total := 0; ; total++ {
		m, err := conn.Receive(ctx)
		if errors.Is(err, io.EOF) { // a cut would be io.ErrUnexpectedEOF
			fmt.Printf("receiver: %d whole messages, %d in order from each of %d goroutines, and a goodbye\n", total, each, senders)
			return conn.Send(ctx, fmt.Append(nil, total))
		}
		if err != nil {
			return err
		}
		var sender, number int
		if _, err := fmt.Sscan(string(m.Bytes()), &sender, &number); err != nil || number != next[sender] {
			return fmt.Errorf("%q came, want %d of sender %d: %w", m.Bytes(), next[sender], sender, err)
		}
		next[sender]++
		m.Release()
	}
}

func send(ctx context.Context) error {
	d := parley.Dialer{WaitFor: 10 * time.Second}
	c, err := d.Dial(ctx, address)
	if err != nil {
		return err
	}
	conn := message.NewConn(c, message.Config{})
	defer conn.Close()
	var wg sync.WaitGroup
	var errs [senders]error
	for s := range senders {
		wg.Go(func() {
			for i := 0; i < each && errs[s] == nil; i++ {
				errs[s] = conn.Send(ctx, fmt.Appendf(nil, "%d %d", s, i))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(append(errs[:], conn.CloseWrite(ctx))...); err != nil {
		return err
	}
	m, err := conn.Receive(ctx)
	if err != nil {
		return err
	}
	defer m.Release()
	fmt.Printf("sender: the peer counted %s\n", m.Bytes())
	return nil
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if len(os.Args) > 1 {
		return receive(ctx)
	}
	receiver := exec.CommandContext(ctx, os.Args[0], "receive") // the other process
	receiver.Stdout, receiver.Stderr = os.Stdout, os.Stderr
	if err := receiver.Start(); err != nil {
		return err
	}
	err := send(ctx)
	if err != nil {
		cancel()
	}
	return errors.Join(err, receiver.Wait())
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
