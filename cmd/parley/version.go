// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/transfer"
	"github.com/parley-ipc/parley/message"
	"github.com/parley-ipc/parley/transport/exec"
	"github.com/parley-ipc/parley/transport/shm"
)

// versions lists what must match, or be negotiated, between two builds.
type versions struct {
	Parley   string `json:"parley"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Message  int    `json:"message"`
	SHM      int    `json:"shm"`
	Exec     int    `json:"exec"`
	Transfer int    `json:"transfer"`
	Endpoint int    `json:"endpoint"`
}

func versionVerb(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version, and those of the wire and file formats",
		Example: "  parley version --json",
		Args:    exactArgs(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v := versions{
				Parley:   moduleVersion(),
				Go:       runtime.Version(),
				Platform: runtime.GOOS + "/" + runtime.GOARCH,
				Message:  message.Version,
				SHM:      shm.Version,
				Exec:     exec.ProtocolVersion,
				Transfer: transfer.Version,
				Endpoint: endpoint.Version,
			}
			if a.json {
				return a.printJSON(v)
			}
			fmt.Fprintf(a.out, "parley %s (%s, %s)\n", v.Parley, v.Go, v.Platform)
			fmt.Fprintf(a.out, "wire: message %d, shm %d, exec %d, transfer %d; files: endpoint %d\n", v.Message, v.SHM, v.Exec, v.Transfer, v.Endpoint)
			return nil
		},
	}
}

// moduleVersion is what the build knows: a tag, or "(devel)".
func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
