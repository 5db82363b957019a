// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/endpoint"
)

func lsVerb(a *app) *cobra.Command {
	var o endpoint.ListOptions
	var wide bool
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List what has a name here: endpoints and what went through them, cells, segments",
		Long: `Lists the endpoints of this user: address, state, process, and counters since
the listener started, up to a second old. "live" means that the kernel holds the
owner's lock; an entry whose owner has died is "stale" and removed by parley gc,
or replaced when somebody listens on the name again.

Then its memory with a name: segments, cells, locks. "live" there means that the
one owner lives, such as a cell's writer; "open" that somebody has it open;
"idle" that nobody has, and the value waits; "stale" that its maker died before
it was done. The process is the one that made it.`,
		Example: `  parley ls
  sudo parley ls --all --json`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.All && o.User != "" {
				return usageError{errors.New("--all and --user exclude each other")}
			}
			infos, err := endpoint.List(cmd.Context(), o)
			if err != nil {
				return err
			}
			infos = slices.DeleteFunc(infos, gone)
			named, err := listNamed(cmd.Context(), o)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(append(rowsOf(infos), namedRows(named)...))
			}
			return errors.Join(printEndpoints(a.out, infos, wide), printNamed(a.out, named))
		},
	}
	cmd.Flags().BoolVar(&o.All, "all", false, "every user's, as far as we may look")
	cmd.Flags().StringVar(&o.User, "user", "", "that user's (name or uid)")
	cmd.Flags().BoolVar(&wide, "wide", false, "also denied and failed connections, files, and how shm:// waited")
	return cmd
}

// row is an endpoint in JSON: what the registry knows, its state in a word,
// and how many connections are open.
type row struct {
	Kind string `json:"kind"` // "endpoint"
	endpoint.Info
	State       string `json:"state"`
	Connections uint64 `json:"connections"`
	Error       string `json:"error,omitempty"`
}

func rowsOf(infos []endpoint.Info) []any {
	rows := make([]any, len(infos))
	for i, info := range infos {
		r := row{Kind: "endpoint", Info: info, State: stateOf(info), Connections: openConns(info)}
		if info.Err != nil {
			r.Error = info.Err.Error()
		}
		rows[i] = r
	}
	return rows
}

func stateOf(i endpoint.Info) string {
	switch {
	case i.Live:
		return "live"
	case i.Err != nil:
		return "unreadable"
	}
	return "stale"
}

// openConns is exact once the two counters have been read at rest; between
// them a connection may have ended, so it never goes below zero.
func openConns(i endpoint.Info) uint64 {
	if !i.Live || i.Counters.Closed > i.Counters.Accepted {
		return 0
	}
	return i.Counters.Accepted - i.Counters.Closed
}

func printEndpoints(out io.Writer, infos []endpoint.Info, wide bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "ADDRESS\tSTATE\tPID\tUID\tCONNS\tTOTAL\tIN\tOUT\tEXECUTABLE")
	if wide {
		fmt.Fprint(w, "\tDENIED\tFAILED\tFILES IN/OUT\tSPINS\tSLEEPS\tWAKES\tFALLBACKS\tSAFETY")
	}
	fmt.Fprintln(w)
	for _, i := range infos {
		if i.Err != nil {
			fmt.Fprintf(w, "%s\t%s\t%s\n", harmless(i.File), stateOf(i), harmless(i.Err.Error()))
			continue
		}
		c := i.Counters
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s", harmless(i.Address), stateOf(i), i.PID, i.UID,
			openConns(i), c.Accepted, byteCount(c.BytesIn), byteCount(c.BytesOut), harmless(i.Executable))
		if wide {
			fmt.Fprintf(w, "\t%d\t%d\t%d/%d\t%d\t%d\t%d\t%d\t%d", c.Denied, c.Failed, c.FilesIn, c.FilesOut,
				c.Spins, c.Sleeps, c.Wakes, c.Fallbacks, c.SafetyTimeouts)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// byteCount shows a number of bytes in binary units: "12 B", "3.4 MiB".
func byteCount(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < len("KMGTPE")-1 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}
