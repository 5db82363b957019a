// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/parley-ipc/parley/fault"
)

func ownerOf(fs.FileInfo) (uid uint32, known bool) { return 0, false }

// hangups never delivers: there is no SIGHUP here.
func hangups() (c <-chan os.Signal, stop func()) { return nil, func() {} }

// passedOn never delivers: there are no such signals here.
func passedOn(bool) (c <-chan os.Signal, stop func()) { return nil, func() {} }

func signalOf(*os.ProcessState) int { return 0 }

// parseSignal knows no signals here.
func parseSignal(string) (syscall.Signal, error) {
	return 0, fault.New(fault.Unsupported, "read signal", "", errors.New("there are no signals on this system"))
}

func isOurs(uint32) bool { return false }
