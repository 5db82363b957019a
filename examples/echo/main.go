// SPDX-License-Identifier: Apache-2.0

// Echo is the smallest pair: a server and a client in two processes, which
// meet at one address and know each other before the first byte.
//
// It prints:
//
//	server: uid:1000 is here
//	client: uid:1000 answered "hello"
//
// Try another address: go run ./examples/echo unix://echo
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

	"github.com/parley-ipc/parley"
)

func serve(ctx context.Context, address string) error {
	ln, err := parley.Listen(ctx, address)
	if err != nil {
		return err
	}
	defer ln.Close()
	conn, err := ln.AcceptConn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Println("server:", conn.Peer(), "is here")
	_, err = io.Copy(conn, conn)
	return err
}

func dial(ctx context.Context, address string) error {
	d := parley.Dialer{WaitFor: 10 * time.Second} // the server may be late
	conn, err := d.Dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	fmt.Printf("client: %v answered %q\n", conn.Peer(), answer)
	return err
}

func run(ctx context.Context, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if len(args) == 2 && args[0] == "serve" {
		return serve(ctx, args[1])
	}
	address := "shm://example-echo"
	if len(args) == 1 {
		address = args[0]
	}
	server := exec.CommandContext(ctx, os.Args[0], "serve", address) // the other process
	server.Stdout, server.Stderr = os.Stdout, os.Stderr
	if err := server.Start(); err != nil {
		return err
	}
	err := dial(ctx, address)
	if err != nil {
		cancel() // and with it the server
	}
	return errors.Join(err, server.Wait())
}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}
