// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/parley-ipc/parley/bench/internal/party"
)

// roleEnv holds what a process of a subject is.
const roleEnv = "PARLEY_BENCH_ROLE"

// side is one process of a subject.
type side struct {
	left    bool // it begins
	dir     string
	index   int // among those that answer
	readers int // how many of them there are
}

// path is a name in the directory of the run that only one subject uses.
func (s side) path(name string) string { return filepath.Join(s.dir, name) }

// roles make the runner of a process, by subject. What a right side needs for
// the left to find it is there when its role returns.
var roles = map[string]func(context.Context, side) (party.Runner, error){
	goFutex:                futexRole,
	netUnix:                socketRole,
	"Go os, pipes":         pipeRole,
	coreNATS:               natsRole,
	"Parley message, unix": messageRole("unix", false),
	parleyShm:              messageRole("shm", false),
	parleyMany:             messageRole("shm", true),
	parleyCast:             broadcastRole(false),
	castMany:               broadcastRole(true),
	parleyLoan:             loanRole,
}

// play is the life of such a process.
func play(role string) error {
	parts := strings.Split(role, "|")
	if len(parts) != 5 {
		return fmt.Errorf("%s=%q", roleEnv, role)
	}
	s := side{left: parts[1] == "left", dir: parts[2]}
	var err error
	if s.index, err = strconv.Atoi(parts[3]); err != nil {
		return err
	}
	if s.readers, err = strconv.Atoi(parts[4]); err != nil {
		return err
	}
	if parts[0] == natsServer {
		return serveNATS(s)
	}
	runner, err := roles[parts[0]](context.Background(), s)
	if err == nil {
		err = party.Serve(os.Stdin, os.Stdout, runner)
	}
	if err != nil {
		return fmt.Errorf("%s, %s: %w", parts[0], parts[1], err)
	}
	return nil
}
