// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/cell"
	"github.com/parley-ipc/parley/primitive/shm"
)

func cellVerb(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cell",
		Short: "Set, get and watch the latest value of a name",
		Long: `A cell is a name with a value in shared memory: the latest, which one process
sets and any others read or watch, without a daemon. It stays when its writer
has ended, until the machine is started anew or parley cell rm removes it.

Values are up to 8188 bytes. Programs read the same cell by cell.OpenNamed of
the type cell.Text; cells of another type are listed by parley ls, and read by
programs that know the type.`,
		Example: `  parley cell set mode maintenance
  parley cell get mode`,
	}
	cmd.AddCommand(cellGetVerb(a), cellSetVerb(a), cellWatchVerb(a), cellRmVerb(a))
	return cmd
}

// cellValue is a value in JSON: text if it is that, else base64.
type cellValue struct {
	Name string  `json:"name"`
	Seq  uint64  `json:"seq"`
	Text *string `json:"text,omitempty"`
	Data []byte  `json:"data,omitempty"`
}

func cellGetVerb(a *app) *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "get NAME|USER@NAME",
		Short: "Print the value of a cell",
		Long: `Prints the value, and a line feed if it does not end in one; with --raw the
value's bytes and nothing else. A cell that is not there, or has no value yet,
makes the exit code 1. Another user's can be read if its writer made it so.`,
		Example: "  parley cell get mode",
		Args:    exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := openCell(cmd.Context(), args[0], a, false)
			if err != nil {
				return err
			}
			v, seq, err := r.Get()
			if err == nil {
				err = a.printCell(args[0], seq, v.Bytes(), raw)
			}
			return errors.Join(err, r.Close())
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "the value's bytes and nothing else")
	return cmd
}

func openCell(ctx context.Context, name string, a *app, across bool) (*cell.NamedReader[cell.Text], error) {
	return cell.OpenNamed[cell.Text](ctx, name, cell.NamedConfig{Patience: a.timeout, Across: across})
}

func (a *app) printCell(name string, seq uint64, value []byte, raw bool) error {
	if a.json {
		v := cellValue{Name: name, Seq: seq}
		if text := string(value); utf8.ValidString(text) {
			v.Text = &text
		} else {
			v.Data = value
		}
		return a.printJSON(v)
	}
	if !raw && (len(value) == 0 || value[len(value)-1] != '\n') {
		value = append(value[:len(value):len(value)], '\n')
	}
	_, err := a.out.Write(value)
	return err
}

func cellSetVerb(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME [DATA|-]",
		Short: "Set the value of a cell, and make it if need be",
		Long: `Sets the value to DATA, or to what comes on stdin. While a program is the
cell's writer nobody else can set it: exit code 1.`,
		Example: `  parley cell set mode maintenance
  date | parley cell set last-backup`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := minArgs(1, "NAME [DATA|-]")(cmd, args); err != nil {
				return err
			}
			return maxArgs(2, "NAME [DATA|-]")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.cellData(args[1:])
			if err != nil {
				return err
			}
			w, err := cell.CreateNamed[cell.Text](cmd.Context(), args[0], cell.NamedConfig{Patience: a.timeout})
			if err != nil {
				return err
			}
			seq, err := w.Set(*text)
			if err == nil && a.json {
				err = a.printJSON(cellValue{Name: args[0], Seq: seq})
			}
			return errors.Join(err, w.Close())
		},
	}
}

func (a *app) cellData(args []string) (*cell.Text, error) {
	if len(args) == 1 && args[0] != "-" {
		return cell.TextOf([]byte(args[0]))
	}
	data, err := io.ReadAll(io.LimitReader(a.in, cell.MaxText+1))
	if err != nil {
		return nil, fault.Wrap("read", "stdin", err)
	}
	return cell.TextOf(data)
}

func cellWatchVerb(a *app) *cobra.Command {
	var count uint64
	cmd := &cobra.Command{
		Use:   "watch NAME|USER@NAME",
		Short: "Print the value of a cell, now and whenever it changes",
		Long: `Prints the latest value at once, if there is one, and each time that it
changes. Values that were replaced before we looked are not seen: that is what a
cell is. It goes on over the ends of writers, until --count values were printed,
the cell is removed (exit code 1), or it is interrupted.`,
		Example: `  parley cell watch mode
  parley cell watch mode --count 1 --json`,
		Args: exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := openCell(cmd.Context(), args[0], a, true)
			if err != nil {
				return err
			}
			return errors.Join(a.watchCell(cmd.Context(), r, args[0], count), r.Close())
		},
	}
	cmd.Flags().Uint64Var(&count, "count", 0, "end after that many values (0: never)")
	return cmd
}

func (a *app) watchCell(ctx context.Context, r *cell.NamedReader[cell.Text], name string, count uint64) error {
	last := uint64(0)
	for n := uint64(0); count == 0 || n < count; n++ {
		v, seq, err := r.Watch(ctx, last)
		if fault.KindOf(err) == fault.Canceled {
			return nil // interrupted: its end
		}
		if err != nil {
			return err
		}
		last = seq
		if err := a.printCell(name, seq, v.Bytes(), false); err != nil {
			return err
		}
	}
	return nil
}

func cellRmVerb(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a cell",
		Long: `Removes the name and its value. While a program has the cell open it is refused,
unless --force says otherwise: such programs then go on with a cell that nobody
else finds.`,
		Example: "  parley cell rm mode",
		Args:    exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return shm.Unlink(cmd.Context(), args[0], shm.NamedConfig{Kind: cell.Kind, Patience: a.timeout}, force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "even while somebody has it open")
	return cmd
}
