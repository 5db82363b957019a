// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/primitive/procsync"
)

func semVerb(a *app) *cobra.Command {
	var count int64
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "sem [flags] NAME|USER@NAME -- CMD [ARG…]",
		Short: "Run a command while at most so many do",
		Long: `Waits until fewer than --count hold the semaphore NAME, runs CMD, and gives the
permit back. The first one to name it makes it, with --count permits, for
all that come later; programs use it as procsync.OpenSemaphore of that name.
` + holdHelp,
		Example: `  ls *.wav | xargs -P 99 -I{} parley sem encode --count 4 -- oggenc {}`,
		Args:    turnArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.commandResult(a.semAndRun(cmd.Context(), args[0], count, a.patience(cmd, wait), args[1:]))
		},
	}
	cmd.Flags().Int64Var(&count, "count", 0, "permits in all; 0: as many as it has been made with")
	waitFlag(cmd, &wait)
	return cmd
}

func (a *app) semAndRun(ctx context.Context, name string, count int64, wait time.Duration, args []string) error {
	access, err := a.openAccess(name)
	if err != nil {
		return err
	}
	s, err := procsync.OpenSemaphore(ctx, name, count, procsync.Config{Label: label(args), Participants: procsync.MaxParticipants, Access: access})
	if err != nil {
		return err
	}
	token, err := a.turn(ctx, wait,
		func(ctx context.Context) (uint64, error) { return s.Acquire(ctx, 1) },
		func() (uint64, bool, error) { return s.TryAcquire(1) })
	if err != nil {
		return errors.Join(a.notAcquired(err), s.Close())
	}
	ran := a.runHolding(ctx, args, []string{"PARLEY_LOCK_TOKEN=" + strconv.FormatUint(token, 10)}, s.ProofFile())
	return errors.Join(ran, s.Release(1), s.Close())
}
