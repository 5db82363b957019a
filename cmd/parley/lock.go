// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/primitive/procsync"
)

const holdHelp = `
CMD has our stdin, stdout and stderr; the exit code is CMD's, 128 and the signal
if it died of one. 75: not acquired in time; 125: a failure of our own, such as
being denied it; 126 and 127: a CMD that cannot be run.

CMD inherits the proof that its turn has not ended, as descriptor 3. So if parley
itself is killed, CMD is killed too, and whatever it started keeps the turn until
it has ended: nothing goes on while somebody else has it.`

func lockVerb(a *app) *cobra.Command {
	var shared bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "lock [flags] NAME|USER@NAME -- CMD [ARG…]",
		Short: "Run a command while nobody else holds a name",
		Long: `Waits until the lock NAME is ours, runs CMD, and gives it back. With --shared
others may hold it too that way. The lock is made if it is not there; programs
use it as procsync.OpenRWMutex of that name. If the last one to hold it died,
CMD runs with PARLEY_LOCK_DIED=1; PARLEY_LOCK_TOKEN grows with each turn.` + holdHelp,
		Example: `  parley lock backup -- ./backup.sh
  parley lock backup --timeout 0s -- ./backup.sh || echo "it runs already"
  parley lock config --shared -- ./read.sh`,
		Args: turnArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.commandResult(a.lockAndRun(cmd.Context(), args[0], shared, a.patience(cmd, wait), args[1:]))
		},
	}
	cmd.Flags().BoolVar(&shared, "shared", false, "beside others who asked for it shared")
	waitFlag(cmd, &wait)
	return cmd
}

// turnArgs wants NAME -- CMD, so that CMD's flags are CMD's.
func turnArgs(cmd *cobra.Command, args []string) error {
	if cmd.ArgsLenAtDash() != 1 || len(args) < 2 {
		return usageError{fmt.Errorf("%s takes NAME -- CMD: see %s --help", cmd.CommandPath(), cmd.CommandPath())}
	}
	return nil
}

// waitFlag replaces the global bound: a turn is waited for as long as it takes.
func waitFlag(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "timeout", 0, "wait no longer; 0s: not at all (default: as long as it takes)")
}

// patience is how long to wait; negative: for ever.
func (a *app) patience(cmd *cobra.Command, wait time.Duration) time.Duration {
	if !cmd.Flags().Changed("timeout") {
		return -1
	}
	return wait
}

func (a *app) lockAndRun(ctx context.Context, name string, shared bool, wait time.Duration, args []string) error {
	access, err := a.openAccess(name)
	if err != nil {
		return err
	}
	m, err := procsync.OpenRWMutex(ctx, name, procsync.Config{Label: label(args), Access: access})
	if err != nil {
		return err
	}
	lock, try, unlock := m.Lock, m.TryLock, m.Unlock
	if shared {
		lock, try, unlock = m.RLock, m.TryRLock, m.RUnlock
	}
	token, err := a.turn(ctx, wait, lock, try)
	died := errors.Is(err, procsync.ErrOwnerDied)
	if died {
		fmt.Fprintf(a.err, "parley: whoever held %s last has died\n", name)
		err = nil
		if !shared {
			err = m.MarkConsistent() // CMD is told, and knows what is to be done
		}
	}
	if err != nil {
		return errors.Join(a.notAcquired(err), m.Close())
	}
	env := []string{"PARLEY_LOCK_TOKEN=" + strconv.FormatUint(token, 10)}
	if died {
		env = append(env, "PARLEY_LOCK_DIED=1")
	}
	ran := a.runHolding(ctx, args, env, m.ProofFile())
	return errors.Join(ran, unlock(), m.Close())
}

// turn waits for a turn as long as it may.
func (a *app) turn(ctx context.Context, wait time.Duration,
	lock func(context.Context) (uint64, error), try func() (uint64, bool, error),
) (token uint64, err error) {
	if wait == 0 {
		token, ok, err := try()
		if err == nil && !ok {
			return 0, errNoTurn
		}
		return token, err
	}
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, wait, errNoTurn)
		defer cancel()
	}
	return lock(ctx)
}

var errNoTurn = errors.New("somebody else has it")

// notAcquired is flock(1)'s way to say it.
func (a *app) notAcquired(err error) error {
	if errors.Is(err, errNoTurn) {
		return a.ownFailure(err, exitNoTurn)
	}
	return err
}
