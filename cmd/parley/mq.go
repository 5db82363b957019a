// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/mqueue"
)

func mqVerb(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mq",
		Short: "Use the kernel's POSIX message queues",
		Long: `The queues of mq_open(3), which C programs use too: each message has a priority,
and goes to one receiver. A queue stays until it is removed or the machine
restarts. Names begin with a slash, which may be left out.`,
		Example: `  parley mq create /orders --messages 10 --size 1024
  parley mq send /orders --priority 5 "one more"
  parley mq receive /orders`,
	}
	cmd.AddCommand(a.mqList(), a.mqCreate(), a.mqSend(), a.mqReceive(), a.mqRemove())
	return cmd
}

// queueRow is a queue in JSON.
type queueRow struct {
	mqueue.Info
	Error string `json:"error,omitempty"`
}

func (a *app) mqList() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List the queues, their limits and what waits in them",
		Example: "  parley mq ls --json",
		Args:    exactArgs(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			infos, err := mqueue.List()
			if err != nil {
				return err
			}
			rows := make([]queueRow, len(infos))
			for i, info := range infos {
				rows[i] = queueRow{Info: info}
				if info.Err != nil {
					rows[i].Error = info.Err.Error()
				}
			}
			if a.json {
				return a.printJSON(rows)
			}
			return printQueues(a.out, rows)
		},
	}
}

func printQueues(out io.Writer, rows []queueRow) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tUID\tMODE\tMESSAGES\tOF\tSIZE\tBYTES\tUSED\tNOTIFIES")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%#o\t", harmless(r.Name), r.UID, r.Mode)
		if r.Error != "" {
			fmt.Fprintf(w, "?\t?\t?\t?\t%s\t%s\n", ago(r.Used), harmless(r.Error))
			continue
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%s\t%d\n", r.Messages, r.MaxMessages, r.MessageSize, r.Bytes, ago(r.Used), r.NotifyPID)
	}
	return w.Flush()
}

// ago is how old a moment is, in the largest fitting unit.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	switch d := max(time.Since(t), 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}

func (a *app) mqCreate() *cobra.Command {
	var c mqueue.Config
	var mode string
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make a queue; one that is there is a failure",
		Example: "  parley mq create /orders --messages 10 --size 1024 --mode 660",
		Args:    exactArgs(1, "NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			bits, err := strconv.ParseUint(mode, 8, 32)
			if err != nil || bits == 0 || bits > 0o777 {
				return usageError{fmt.Errorf("--mode %q: write octal permissions, as 600", mode)}
			}
			c.Create, c.Exclusive, c.Mode = true, true, fs.FileMode(bits)
			q, err := mqueue.Open(args[0], c)
			if err != nil {
				return err
			}
			return q.Close()
		},
	}
	cmd.Flags().IntVar(&c.MaxMessages, "messages", 0, "how many it holds (default: the system's, 10 as a rule)")
	cmd.Flags().IntVar(&c.MessageSize, "size", 0, "bytes that a message may have (default: the system's, 8192 as a rule)")
	cmd.Flags().StringVar(&mode, "mode", "600", "its permissions")
	return cmd
}

func (a *app) mqSend() *cobra.Command {
	var priority uint32
	cmd := &cobra.Command{
		Use:   "send NAME [TEXT]",
		Short: "Send one message: TEXT, or all of stdin",
		Long: `Sends one message: TEXT, or all of stdin. While the queue is full it waits, up to
--timeout.`,
		Example: `  parley mq send /orders "one more" --priority 5
  parley mq send /orders <order.json`,
		Args: rangeArgs(1, 2, "NAME [TEXT]"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			q, err := mqueue.Open(args[0], mqueue.Config{Access: mqueue.SendOnly})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, q.Close()) }()
			var data []byte
			if len(args) == 2 {
				data = []byte(args[1])
			} else if data, err = io.ReadAll(io.LimitReader(a.in, int64(q.MessageSize())+1)); err != nil {
				return fault.Wrap("read", "standard input", err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
			defer cancel()
			return q.Send(ctx, data, priority)
		},
	}
	cmd.Flags().Uint32Var(&priority, "priority", 0, "0 to 32767; higher ones are received first")
	return cmd
}

// received is a message in JSON: its text, or its bytes where they are none.
type received struct {
	Priority uint32 `json:"priority"`
	Text     string `json:"text,omitempty"`
	Data     []byte `json:"data,omitempty"`
}

func (a *app) mqReceive() *cobra.Command {
	var count int
	var raw bool
	cmd := &cobra.Command{
		Use:   "receive NAME",
		Short: "Take messages, and print each on a line",
		Long: `Takes messages, the highest priority first, and prints each, a line end behind
it unless --raw. It waits for each up to --timeout; 0 waits for ever.`,
		Example: `  parley mq receive /orders
  parley mq receive /orders --count 0 --timeout 0 --json`,
		Args: exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			q, err := mqueue.Open(args[0], mqueue.Config{Access: mqueue.ReceiveOnly})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, q.Close()) }()
			for i := 0; count == 0 || i < count; i++ {
				m, err := a.nextMessage(cmd.Context(), q)
				if err != nil {
					return err
				}
				if err := a.printMessage(m, raw); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&count, "count", 1, "how many; 0: no end")
	cmd.Flags().BoolVar(&raw, "raw", false, "the bytes and nothing else")
	return cmd
}

func (a *app) nextMessage(ctx context.Context, q *mqueue.Queue) (mqueue.Message, error) {
	if a.timeout == 0 {
		return q.Next(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return q.Next(ctx)
}

func (a *app) printMessage(m mqueue.Message, raw bool) error {
	if a.json {
		r := received{Priority: m.Priority, Data: m.Data}
		if utf8.Valid(m.Data) {
			r.Text, r.Data = string(m.Data), nil
		}
		return a.printJSON(r)
	}
	if !raw {
		m.Data = append(m.Data, '\n')
	}
	_, err := a.out.Write(m.Data)
	return err
}

func (a *app) mqRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME…",
		Short: "Remove queues, with what is in them",
		Long: `Removes queues, with what is in them, once nobody has them open any more; their
names are free at once.`,
		Example: "  parley mq rm /orders",
		Args:    minArgs(1, "NAME…"),
		RunE: func(_ *cobra.Command, args []string) error {
			var errs []error
			for _, name := range args {
				errs = append(errs, mqueue.Unlink(name))
			}
			return errors.Join(errs...)
		},
	}
}
