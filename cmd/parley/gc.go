// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
)

// removal is one row of parley gc.
type removal struct {
	Address string `json:"address"`
	File    string `json:"file"`
	Removed bool   `json:"removed"`
	Error   string `json:"error,omitempty"`
}

func gcVerb(a *app) *cobra.Command {
	var o endpoint.ListOptions
	var yes, kernel bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove what listeners that died have left behind",
		Long: `Shows the entries and sockets whose owner is proven dead: the kernel no longer
holds its lock, or the files themselves have gone; and memory with a name whose
maker died before it was done, or from before the machine was started. A cell
that nobody has open is at rest, and stays. With --yes it removes them,
taking that lock first, so that a listener that starts at the same moment is
never disturbed. Nothing is ever judged by its age or by a process id.

With --kernel also what parley ipcs calls orphaned and no other may have: POSIX
message queues, /dev/shm segments and semaphores that no process has open, System
V memory that nobody has attached. Whoever left it may want it again: look first.`,
		Example: `  parley gc
  parley gc --yes
  parley gc --kernel`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows, err := collect(cmd.Context(), o, yes)
			if err != nil {
				return err
			}
			named, err := collectNamed(cmd.Context(), o, yes)
			if err != nil {
				return err
			}
			rows = append(rows, named...)
			if kernel {
				objects, err := collectKernel(cmd.Context(), o.All, yes)
				if err != nil {
					return err
				}
				rows = append(rows, objects...)
			}
			if a.json {
				err = a.printJSON(rows)
			} else {
				a.printRemovals(rows, yes)
			}
			for _, r := range rows {
				if r.Error != "" {
					return errors.Join(err, codeError(exitFailed))
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "remove them")
	cmd.Flags().BoolVar(&kernel, "kernel", false, "also what other programs left with the kernel")
	cmd.Flags().BoolVar(&o.All, "all", false, "every user's, as far as we may")
	return cmd
}

func collect(ctx context.Context, o endpoint.ListOptions, remove bool) ([]removal, error) {
	infos, err := endpoint.List(ctx, o)
	rows := []removal{}
	if err != nil {
		return rows, err
	}
	for _, info := range infos {
		if info.Live || info.Err != nil && !gone(info) {
			continue
		}
		r := removal{Address: info.Address, File: info.File}
		if remove {
			err := endpoint.Remove(ctx, info)
			if fault.KindOf(err) == fault.InUse {
				continue // somebody has taken the name since: not ours to remove
			}
			r.Removed = err == nil
			if err != nil {
				r.Error = err.Error()
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// gone reports that all that is left of an endpoint at a path of its own is
// our note of where it was.
func gone(info endpoint.Info) bool { return errors.Is(info.Err, fs.ErrNotExist) }

func (a *app) printRemovals(rows []removal, yes bool) {
	for _, r := range rows {
		r.Address, r.File, r.Error = harmless(r.Address), harmless(r.File), harmless(r.Error)
		if r.Address == "" {
			r.Address = "(its files are gone)"
		}
		switch {
		case r.Error != "":
			fmt.Fprintf(a.out, "failed   %s  %s\n", r.Address, r.Error)
		case r.Removed:
			fmt.Fprintf(a.out, "removed  %s  %s\n", r.Address, r.File)
		default:
			fmt.Fprintf(a.out, "dead     %s  %s\n", r.Address, r.File)
		}
	}
	switch {
	case len(rows) == 0:
		fmt.Fprintln(a.err, "nothing is left behind")
	case !yes:
		fmt.Fprintln(a.err, "run parley gc --yes to remove them")
	}
}
