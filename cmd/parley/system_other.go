// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package main

import (
	"io/fs"
	"os"

	"github.com/parley-ipc/parley/transport/exec"
)

func ownerOf(fs.FileInfo) (uid uint32, known bool) { return 0, false }

// hangups never delivers: there is no SIGHUP here.
func hangups() (c <-chan os.Signal, stop func()) { return nil, func() {} }

func signalOf(*exec.ExitError) int { return 0 }
