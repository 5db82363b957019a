// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"github.com/parley-ipc/parley/internal/measure"
)

// serveEnv holds the directory for sockets in the process that serves.
const serveEnv = "PARLEY_BENCH_SERVE"

// serve listens for every subject, tells the addresses on stdout, and serves
// until stdin ends, which the death of the parent brings about too.
func serve(ctx context.Context, dir string) error {
	addresses := map[string]string{}
	for _, s := range subjects {
		ln, address, err := s.listen(ctx, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		defer ln.Close()
		addresses[s.name] = address
		go accept(ln)
	}
	if err := json.NewEncoder(os.Stdout).Encode(addresses); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if err := measure.Serve(c); err != nil {
				fmt.Fprintln(os.Stderr, "connect: server:", err)
			}
		}()
	}
}

// server is the other process.
type server struct {
	cmd       *exec.Cmd
	stdin     io.Closer
	addresses map[string]string
}

func startServer(dir string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serveEnv+"="+dir, "PARLEY_RUNTIME_DIR="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, stdin: stdin}
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&s.addresses); err != nil {
		s.stop()
		return nil, fmt.Errorf("the server process did not start: %w", err)
	}
	return s, nil
}

func (s *server) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait()
}
