// SPDX-License-Identifier: Apache-2.0

// Child starts a program and talks with it over its stdin and stdout. Its
// stderr stays free for what it has to say, and Close reaps it.
//
// It prints:
//
//	child: my parent is uid:1000
//	parent: started a child that is uid:1000, known as spawned
//	parent: it shouted "HELLO"
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/endpoint"
	startup "github.com/parley-ipc/parley/transport/exec"
)

// child speaks to whoever started it.
func child(ctx context.Context) error {
	conn, err := parley.Dial(ctx, "stdio:")
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintln(os.Stderr, "child: my parent is", conn.Peer())
	text, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	_, err = conn.Write(bytes.ToUpper(text))
	return err
}

func parent(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	d := parley.Dialer{
		AllowExec: true,                              // the address is our own
		Exec:      startup.Config{Stderr: os.Stdout}, // else it goes to the Logger
	}
	conn, err := d.DialAddress(ctx, endpoint.Address{Scheme: endpoint.Exec, Args: []string{program, "child"}})
	if err != nil {
		return err
	}
	_, err = io.WriteString(conn, "hello")
	err = errors.Join(err, conn.CloseWrite())
	answer, rerr := io.ReadAll(conn)
	fmt.Printf("parent: started a child that is %v, known as %s\n", conn.Peer(), conn.Peer().Method)
	fmt.Printf("parent: it shouted %q\n", answer)
	return errors.Join(err, rerr, conn.Close()) // which waits for the child
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	do := parent
	if len(os.Args) > 1 {
		do = child
	}
	if err := do(ctx); err != nil {
		log.Fatal(err)
	}
}
