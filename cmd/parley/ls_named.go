// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/shm"
)

// namedRow is a named segment in JSON; its kind is never "endpoint".
type namedRow struct {
	shm.NamedInfo
	State string `json:"state"`
	Error string `json:"error,omitempty"`
}

// listNamed lists what endpoint.List has no word of. What keeps a directory
// from being read it has told already.
func listNamed(ctx context.Context, o endpoint.ListOptions) ([]shm.NamedInfo, error) {
	infos, err := shm.ListNamed(ctx, shm.NamedOptions{User: o.User, All: o.All})
	named := infos[:0]
	for _, i := range infos {
		if i.Kind != "" {
			named = append(named, i)
		}
	}
	return named, err
}

func namedState(i shm.NamedInfo) string {
	switch {
	case i.Err != nil:
		return "unreadable"
	case i.Stale:
		return "stale"
	case i.Owned:
		return "live"
	case i.Used:
		return "open"
	}
	return "idle"
}

func namedRows(infos []shm.NamedInfo) []any {
	rows := make([]any, len(infos))
	for n, i := range infos {
		r := namedRow{NamedInfo: i, State: namedState(i)}
		if i.Err != nil {
			r.Error = i.Err.Error()
		}
		rows[n] = r
	}
	return rows
}

// printNamed is the second table; without a row there is none.
func printNamed(out io.Writer, infos []shm.NamedInfo) error {
	if len(infos) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nNAME\tKIND\tSTATE\tPID\tUID\tSIZE\tCREATED\tEXECUTABLE")
	for _, i := range infos {
		fmt.Fprintf(w, "%s\t%s\t%s\t", harmless(i.Name), harmless(i.Kind), namedState(i))
		switch {
		case i.Err != nil:
			fmt.Fprintln(w, harmless(i.Err.Error()))
		case i.Created.IsZero():
			fmt.Fprintf(w, "-\t%d\t-\t-\t-\n", i.UID)
		default:
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\n", i.PID, i.UID, byteCount(uint64(i.Size)), i.Created.Format("2006-01-02 15:04:05"), harmless(i.Executable))
		}
	}
	return w.Flush()
}

// collectNamed is collect for memory with a name.
func collectNamed(ctx context.Context, o endpoint.ListOptions, remove bool) ([]removal, error) {
	infos, err := listNamed(ctx, o)
	var rows []removal
	for _, i := range infos {
		if i.Err != nil || !i.Stale {
			continue
		}
		r := removal{Address: i.Kind + " " + i.Name, File: i.File}
		if remove {
			err := shm.RemoveStale(ctx, i)
			if fault.KindOf(err) == fault.InUse {
				continue // somebody has made it anew
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
