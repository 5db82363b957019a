// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/process"
)

// ending is how and when a process ended.
type ending struct {
	process.Info
	Ended time.Time     `json:"ended"`
	Exit  *process.Exit `json:"exit,omitempty"` // nil if nobody tells us
	How   string        `json:"how"`
}

func watchVerb(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "watch PID|NAME",
		Short: "Wait for the end of a process and say how and when it came",
		Long: `Waits until the process PID, or whoever listens at NAME, has ended, and says
when, how long it lived, and how it ended: its exit status, or the signal. The
kernel tells that to others than the parent from Linux 6.15 on, once the parent
has reaped it. The exit code is 0 whatever the process's was.`,
		Example: `  parley watch 4711
  parley watch orders --json`,
		Args: exactArgs(1, "PID or NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := openTarget(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer func() { _ = p.Close() }()
			e, err := watchEnd(cmd.Context(), p)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(e)
			}
			lived := ""
			if !e.Started.IsZero() {
				lived = ", after " + e.Ended.Sub(e.Started).Round(time.Millisecond).String()
			}
			_, err = fmt.Fprintf(a.out, "pid %d (%s) ended at %s%s: %s\n", e.PID, harmless(e.Name), e.Ended.Format(time.RFC3339), lived, e.How)
			return err
		},
	}
}

func watchEnd(ctx context.Context, p *process.Process) (ending, error) {
	info, err := p.Info()
	switch {
	case fault.KindOf(err) == fault.NotFound:
		info = process.Info{PID: p.Pid(), Name: "?"} // it has ended already, and told us no more
	case err != nil:
		return ending{}, err
	}
	if err := p.Wait(ctx); err != nil {
		return ending{}, err
	}
	e := ending{Info: info, Ended: time.Now()}
	exit, err := exitOf(ctx, p)
	if err != nil {
		e.How = "how is not known: " + err.Error()
		return e, nil
	}
	e.Exit, e.How = &exit, exit.String()
	return e, nil
}

// exitOf waits a while for the parent to reap.
func exitOf(ctx context.Context, p *process.Process) (process.Exit, error) {
	const patience = 2 * time.Second
	limit := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause *= 2 {
		exit, err := p.Exit()
		if fault.KindOf(err) != fault.Unavailable || time.Now().After(limit) {
			return exit, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return exit, err
		}
	}
}
