// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/procsync"
	"github.com/parley-ipc/parley/primitive/shm"
)

func locksVerb(a *app) *cobra.Command {
	var o shm.NamedOptions
	cmd := &cobra.Command{
		Use:   "locks",
		Short: "Show who holds locks and their like, since when, and who waits",
		Long: `Lists the mutexes, locks, semaphores, conditions, events and barriers that have a
name: who holds them, for how long, and who waits. "dead" is whoever holds no
proof of life any more: what it had is taken back by the next one to ask, or by
parley locks break.`,
		Example: `  parley locks
  parley locks break backup`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			states, err := lockStates(cmd.Context(), o)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(states)
			}
			return printLocks(a.out, states)
		},
	}
	cmd.Flags().BoolVar(&o.All, "all", false, "every user's, as far as we may look")
	cmd.Flags().StringVar(&o.User, "user", "", "that user's (name or uid)")
	cmd.AddCommand(locksBreakVerb(a), locksResetVerb(a), locksRmVerb(a), locksShareVerb(a))
	return cmd
}

func lockStates(ctx context.Context, o shm.NamedOptions) ([]procsync.State, error) {
	infos, err := shm.ListNamed(ctx, o)
	states := []procsync.State{}
	for _, i := range infos {
		kind, ok := kindNamed(i.Kind)
		if !ok || i.Err != nil || i.Stale {
			continue
		}
		st, err := procsync.Inspect(ctx, kind, i.Name)
		switch fault.KindOf(err) {
		case fault.NotFound:
			continue // removed since
		case fault.Denied:
			continue // parley ls shows that it is there
		}
		if err != nil {
			return nil, err
		}
		states = append(states, st)
	}
	return states, err
}

func kindNamed(name string) (procsync.Kind, bool) {
	for _, k := range procsync.Kinds() {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

func printLocks(out io.Writer, states []procsync.State) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tSTATE\tPID\tUID\tFOR\tTOKEN\tWHAT")
	for _, st := range states {
		shown := 0
		for _, p := range st.Participants {
			if p.Holds == 0 && p.Waiting == 0 {
				continue
			}
			shown++
			did, since, token := doing(st, p)
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", st.Name, st.Kind, did, p.PID, p.UID, since, token, harmless(p.Label))
		}
		if shown == 0 || st.Broken {
			fmt.Fprintf(w, "%s\t%s\t%s\t\t\t\t\t\n", st.Name, st.Kind, resting(st))
		}
	}
	return w.Flush()
}

func doing(st procsync.State, p procsync.Participant) (did, since, token string) {
	switch {
	case !p.Alive:
		did = "dead"
	case p.Holds == 0:
		return "waits", p.Waiting.Round(time.Millisecond).String(), ""
	case st.Count > 0:
		did = fmt.Sprintf("holds %d/%d", p.Holds, st.Count)
	case p.Writes:
		did = "holds"
	default:
		did = "shares"
	}
	return did, p.Since.Round(10 * time.Millisecond).String(), fmt.Sprint(p.Token)
}

func resting(st procsync.State) string {
	switch {
	case st.Broken:
		return "broken"
	case st.Set:
		return "set"
	case st.Suspect:
		return "free, suspect"
	}
	return "free"
}

func locksBreakVerb(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "break NAME",
		Short: "Take a lock from the dead, or by force",
		Long: `Takes whatever is called NAME from holders that the kernel proves dead, and
refuses if one lives. With --force it takes it from the living, who go on as if
they held it: two of them may then do at once what the lock was to keep apart.
The next one to get a lock so broken is told that its owner died.`,
		Example: `  parley locks break backup`,
		Args:    exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if force {
				fmt.Fprintf(a.err, "parley: warning: whoever holds %s goes on as if it still did\n", args[0])
			}
			return eachKind(cmd.Context(), args[0], func(kind procsync.Kind) error {
				n, err := procsync.Break(cmd.Context(), kind, args[0], force)
				if err == nil {
					fmt.Fprintf(a.err, "%s %s: taken from %d\n", kind, args[0], n)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "from the living too")
	return cmd
}

func locksResetVerb(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "reset NAME",
		Short: "Make a broken lock usable again",
		Long: `A lock that was unlocked unrepaired after an owner died is "broken": nobody
gets it. Once what it protects is in order, this makes it usable.`,
		Example: `  parley locks reset backup`,
		Args:    exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachKind(cmd.Context(), args[0], func(kind procsync.Kind) error {
				return procsync.Reset(cmd.Context(), kind, args[0])
			})
		},
	}
}

func locksRmVerb(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a lock",
		Long: `Removes the name. While a program has it open it is refused, unless --force says
otherwise: such programs then go on with a lock that nobody else finds.`,
		Example: `  parley locks rm backup`,
		Args:    exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachKind(cmd.Context(), args[0], func(kind procsync.Kind) error {
				return procsync.Remove(cmd.Context(), kind, args[0], force)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "even while somebody has it open")
	return cmd
}

// eachKind does something to what has the name, of whatever kinds.
func eachKind(ctx context.Context, name string, do func(procsync.Kind) error) error {
	var errs []error
	found := false
	for _, k := range procsync.Kinds() {
		err := do(k)
		if fault.KindOf(err) == fault.NotFound {
			continue
		}
		found = true
		errs = append(errs, err)
	}
	if !found && ctx.Err() == nil {
		return fault.New(fault.NotFound, "locks", name, errors.New("no "+strings.Join(kindNames(), ", ")+" has this name"))
	}
	return errors.Join(errs...)
}

func kindNames() []string {
	var names []string
	for _, k := range procsync.Kinds() {
		names = append(names, k.String())
	}
	return names
}
