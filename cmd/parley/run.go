// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/parley-ipc/parley/child"
	"github.com/parley-ipc/parley/fault"
)

// runFlags say how to keep a command running.
type runFlags struct {
	restart   string
	perMinute int
	pause     time.Duration
	grace     time.Duration
	noNewPriv bool
}

func runVerb(a *app) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [flags] -- CMD [ARG…]",
		Short: "Keep a command running",
		Long: `Starts CMD and, as --restart says, starts it again when it ends: after a pause
that doubles each time, up to --per-minute times in a minute. It runs in a process
group of its own, which is killed with it, and it dies with parley, even by kill
-9. SIGTERM or SIGINT to parley tells CMD to end, and kills it after --grace;
SIGUSR1 and SIGUSR2 are passed on, and SIGHUP unless our stdin is a terminal.

CMD has our stdin (unless that is a terminal), stdout and stderr. The exit code is
CMD's last one, 128 and the signal if it died of one; 125 is a failure of our own,
126 and 127 a CMD that cannot be run.`,
		Example: `  parley run --restart on-failure -- ./server --port 8080
  parley run --restart always --per-minute 60 -- sh -c 'date; sleep 5'`,
		Args: minArgs(1, "a CMD after --"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.commandResult(a.supervise(cmd.Context(), f, args))
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows CMD is CMD's
	flags.StringVar(&f.restart, "restart", "never", "never, on-failure or always")
	flags.IntVar(&f.perMinute, "per-minute", child.DefaultMaxPerMinute, "restarts in a minute before giving up; -1: no limit")
	flags.DurationVar(&f.pause, "pause", child.DefaultFirstPause, "pause before the first restart")
	flags.DurationVar(&f.grace, "grace", child.DefaultGrace, "how long CMD may take to end")
	flags.BoolVar(&f.noNewPriv, "no-new-privileges", false, "CMD gains none by set-uid programs")
	return cmd
}

func (f runFlags) config(a *app, args []string) (child.Config, error) {
	restart, ok := map[string]child.Restart{"never": child.Never, "on-failure": child.OnFailure, "always": child.Always}[f.restart]
	if !ok {
		return child.Config{}, a.ownFailure(usageError{fmt.Errorf("--restart %q: write never, on-failure or always", f.restart)}, exitUsage)
	}
	cfg := child.Config{
		Path: args[0], Args: args[1:], Plain: true, InheritEnv: true, NoNewPrivileges: f.noNewPriv,
		Stdout: a.out, Stderr: a.err, Logger: a.log,
		Restart: restart, MaxPerMinute: f.perMinute, FirstPause: f.pause, Grace: f.grace,
	}
	if a.in != nil && !a.onTerminal() {
		cfg.Stdin = a.in
	}
	return cfg, nil
}

func (a *app) onTerminal() bool { return a.in != nil && term.IsTerminal(int(a.in.Fd())) }

func (a *app) supervise(ctx context.Context, f runFlags, args []string) error {
	cfg, err := f.config(a, args)
	if err != nil {
		return err
	}
	signals, quiet := passedOn(a.onTerminal())
	defer quiet()
	c, err := child.Start(ctx, cfg)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return a.ownFailure(err, exitNotFound)
	case errors.Is(err, fs.ErrPermission), fault.KindOf(err) == fault.Invalid:
		return a.ownFailure(err, exitNotExecutable)
	case err != nil:
		return err
	}
	for {
		select {
		case <-c.Done():
			return a.codeOfChild(c.Err())
		case sig := <-signals:
			passOn(sig, c)
		case <-ctx.Done():
			if err := c.Stop(context.WithoutCancel(ctx)); err != nil {
				return err
			}
			return a.codeOfChild(c.Err())
		}
	}
}

// passOn is for the one that runs, if any does.
func passOn(sig os.Signal, c *child.Child) {
	if p, s := c.Process(), sig.(syscall.Signal); p != nil {
		_ = p.Signal(s) // it may just have ended
	}
}

// codeOfChild is the exit code that a child's end gives us.
func (a *app) codeOfChild(err error) error {
	var exit *child.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if errors.Is(err, fault.Exhausted) {
		fmt.Fprintf(a.err, "parley: %s\n", err)
	}
	if code := exit.ExitCode(); code >= 0 {
		return codeError(code)
	}
	return codeError(128 + signalOf(exit.ProcessState))
}
