// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/inventory"
)

func ipcsVerb(a *app) *cobra.Command {
	var o inventory.Options
	var kinds []string
	var orphaned bool
	cmd := &cobra.Command{
		Use:   "ipcs",
		Short: "List every IPC object that we may see, Parley's and the kernel's",
		Long: `One table of Parley's endpoints, topics, segments, cells and locks; POSIX message
queues and semaphores; System V queues, semaphores and memory; segments in
/dev/shm; unix sockets; and FIFOs that somebody has open, or that lie in the usual
places. Each with its owner, size, age (since it was made or last changed), who
has it, and its state:

  live      somebody has it
  orphaned  nobody has it, among all processes that we may look at
  kept      at rest by design, or the kernel does not tell who has it
  unknown   its owner's processes may not be looked at: ask as root`,
		Example: `  parley ipcs
  sudo parley ipcs --orphaned
  parley ipcs --kind mqueue --kind shm --json`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			objects, problems, err := inventory.List(cmd.Context(), o)
			if err != nil {
				return err
			}
			objects = slices.DeleteFunc(objects, func(i inventory.Object) bool {
				return orphaned && i.State != inventory.Orphaned || len(kinds) > 0 && !slices.Contains(kinds, i.Kind)
			})
			for _, p := range problems {
				fmt.Fprintf(a.err, "parley: %s: %s\n", p.Source, harmless(p.Err.Error()))
			}
			if a.json {
				return a.printJSON(objectRows(objects))
			}
			return printObjects(a.out, objects)
		},
	}
	cmd.Flags().BoolVar(&o.Unnamed, "unnamed", false, "unix sockets without a name too")
	cmd.Flags().StringArrayVar(&kinds, "kind", nil, "of this kind only; may be given again")
	cmd.Flags().BoolVar(&orphaned, "orphaned", false, "only what nobody has")
	return cmd
}

// objectRow is an object in JSON.
type objectRow struct {
	inventory.Object
	Error string `json:"error,omitempty"`
}

func objectRows(objects []inventory.Object) []objectRow {
	rows := make([]objectRow, len(objects))
	for i, o := range objects {
		rows[i] = objectRow{Object: o}
		if o.Err != nil {
			rows[i].Error = o.Err.Error()
		}
	}
	return rows
}

func printObjects(out io.Writer, objects []inventory.Object) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tNAME\tSTATE\tUID\tSIZE\tAGE\tPIDS\tDETAIL")
	for _, o := range objects {
		uid := "-"
		if o.UID != nil {
			uid = fmt.Sprint(*o.UID)
		}
		detail := o.Detail
		if o.Err != nil {
			detail = o.Err.Error()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.Kind, harmless(o.Name), o.State, uid,
			byteCount(uint64(max(o.Size, 0))), ago(o.Since), pidList(o.PIDs), harmless(detail))
	}
	return w.Flush()
}

// pidList is the first few.
func pidList(pids []int) string {
	const shown = 3
	var words []string
	for _, pid := range pids[:min(len(pids), shown)] {
		words = append(words, fmt.Sprint(pid))
	}
	if more := len(pids) - shown; more > 0 {
		words = append(words, fmt.Sprintf("+%d", more))
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ",")
}

// collectKernel is collect for the kernel's objects: ours, or everybody's.
func collectKernel(ctx context.Context, all, remove bool) ([]removal, error) {
	objects, _, err := inventory.List(ctx, inventory.Options{}) // what cannot be looked at is not removed
	var rows []removal
	for _, o := range objects {
		if o.Parley || !o.Removable() || !all && (o.UID == nil || !isOurs(*o.UID)) {
			continue
		}
		r := removal{Address: o.Kind, File: o.Name}
		if remove {
			err := o.Remove()
			if kind := fault.KindOf(err); kind == fault.InUse || kind == fault.NotFound {
				continue // somebody has it now, or has removed it
			}
			r.Removed = err == nil
			if err != nil {
				r.Error = err.Error()
			}
		}
		rows = append(rows, r)
	}
	return rows, err
}
