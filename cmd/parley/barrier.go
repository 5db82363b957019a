// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/primitive/procsync"
)

func barrierVerb(a *app) *cobra.Command {
	var parties int64
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "barrier NAME|USER@NAME",
		Short: "Wait until so many have come",
		Long: `Waits at the barrier NAME until --parties have come, then all of them go on.
Who is killed or gives up while it waits has not come. The first one to name
it makes it, for as many rounds as are wanted; programs use it as
procsync.OpenBarrier of that name. --timeout makes the exit code 4.`,
		Example: `  parley barrier start --parties 3`,
		Args:    exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.barrier(cmd.Context(), args[0], parties, a.patience(cmd, wait))
		},
	}
	cmd.Flags().Int64Var(&parties, "parties", 0, "how many; 0: as many as it has been made with")
	cmd.Flags().DurationVar(&wait, "timeout", 0, "wait no longer (default: as long as it takes)")
	return cmd
}

// passage is what parley barrier --json prints.
type passage struct {
	Name string `json:"name"`
	Last bool   `json:"last"` // we completed the round
}

func (a *app) barrier(ctx context.Context, name string, parties int64, wait time.Duration) error {
	access, err := a.openAccess(name)
	if err != nil {
		return err
	}
	b, err := procsync.OpenBarrier(ctx, name, parties, procsync.Config{Label: "parley barrier", Participants: procsync.MaxParticipants, Access: access})
	if err != nil {
		return err
	}
	if wait >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	last, err := b.Wait(ctx)
	if err == nil && a.json {
		err = a.printJSON(passage{name, last})
	}
	return errors.Join(err, b.Close())
}
