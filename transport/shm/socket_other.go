// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package shm

import (
	"errors"
	"net"
	"os"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
)

var (
	errWouldWait = errors.New("nothing there")
	errLinuxOnly = fault.New(fault.Unsupported, "connect", "", errors.New("shm:// needs Linux: use unix:// or tcp:// here"))
)

type receiver struct{}

func (*receiver) receive(int, []byte) (int, []int, error) { return 0, nil, errLinuxOnly }

func sendWake(int) error { return errLinuxOnly }

func sendFiles(int, []byte, []int) (bool, error) { return true, errLinuxOnly }

func closeAll([]int) {}

func descriptors([]*os.File) ([]int, error) { return nil, errLinuxOnly }

func isGone(error) bool { return false }

func newPair() (*net.UnixConn, int, error) { return nil, -1, errLinuxOnly }

func adopt(int, auth.Identity) (*net.UnixConn, error) { return nil, errLinuxOnly }
