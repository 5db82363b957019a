// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/unixconn"
	"github.com/parley-ipc/parley/primitive/process"
)

// openTarget opens the process with that pid, or the one that listens at a
// name: a shm or unix address, or what follows unix://.
func openTarget(ctx context.Context, target string) (*process.Process, error) {
	if pid, err := strconv.Atoi(target); err == nil {
		return process.Open(pid)
	}
	if !strings.Contains(target, ":") {
		target = "unix://" + target
	}
	addr, err := endpoint.Parse(target)
	if err != nil {
		return nil, err
	}
	path, err := endpoint.DialPath(addr)
	if err != nil {
		return nil, err
	}
	sock, err := unixconn.Dial(ctx, path, addr.String())
	if err != nil {
		return nil, err
	}
	defer func() { _ = sock.Close() }()
	pidfd, err := unixconn.PeerPidfd(sock)
	if err == nil {
		return process.FromFD(pidfd)
	}
	if fault.KindOf(err) != fault.Unsupported {
		return nil, err
	}
	peer, err := unixconn.PeerIdentity(sock)
	if err != nil {
		return nil, err
	}
	if peer.PID <= 0 {
		return nil, fault.New(fault.Unsupported, "find process", target, errors.New("it lives in a PID namespace that ours cannot see"))
	}
	return process.Open(peer.PID) // it listens still, so the number is its own
}
