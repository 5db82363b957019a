// SPDX-License-Identifier: Apache-2.0

// Http runs net/http, unchanged, over shared memory: the server in one
// process, the client in another. The handler knows the user who calls.
//
// It prints:
//
//	200 OK: hello uid:1000, you asked for /greeting
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/parley-ipc/parley"
	"github.com/parley-ipc/parley/transport"
)

const address = "shm://example-http"

type callerKey struct{}

// serve serves until its parent closes stdin.
func serve(ctx context.Context) error {
	ln, err := parley.Listen(ctx, address)
	if err != nil {
		return err
	}
	server := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, callerKey{}, c.(transport.Conn).Peer())
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "hello %v, you asked for %s", r.Context().Value(callerKey{}), r.URL.Path)
		}),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	_, err = io.Copy(io.Discard, os.Stdin)
	err = errors.Join(err, server.Shutdown(ctx))
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

func get(ctx context.Context, path string) error {
	d := parley.Dialer{WaitFor: 10 * time.Second}
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.Dial(ctx, address) },
	}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example"+path, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	fmt.Printf("%s: %s\n", answer.Status, body)
	return err
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if len(os.Args) > 1 {
		return serve(ctx)
	}
	server := exec.CommandContext(ctx, os.Args[0], "serve") // the other process
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	err = get(ctx, "/greeting")
	return errors.Join(err, stdin.Close(), server.Wait())
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
