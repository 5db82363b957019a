// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package main

import (
	"io/fs"
	"os"
)

func ownerOf(fs.FileInfo) (uid uint32, known bool) { return 0, false }

// hangups never delivers: there is no SIGHUP here.
func hangups() (c <-chan os.Signal, stop func()) { return nil, func() {} }

func signalOf(*os.ProcessState) int { return 0 }
