// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/notify"
	"github.com/parley-ipc/parley/policy"
)

func notifyVerb(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Notify a process by name, or wait to be notified",
		Example: `  parley notify wait reload
  parley notify post reload config.yaml`,
		Args: exactArgs(0, "a subcommand"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(notifyPostVerb(a), notifyWaitVerb(a))
	return cmd
}

func notifyPostVerb(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "post NAME [DATA|-]",
		Short: "Notify whoever waits at NAME",
		Long: `Notifies whoever waits at NAME, or USER@NAME for another user's, with DATA (at
most 4096 bytes, "-" for stdin). Ends once the waiter's process has the
notification; that there is one, and that it takes it, is waited for within
--timeout.`,
		Example: `  parley notify post reload
  date | parley notify post alice@reload -`,
		Args: func(cmd *cobra.Command, args []string) error {
			return errors.Join(minArgs(1, "NAME")(cmd, args), maxArgs(2, "NAME and DATA")(cmd, args))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			payload, err := a.payload(args[1:])
			if err != nil {
				return err
			}
			return a.post(cmd.Context(), args[0], payload)
		},
	}
}

func (a *app) payload(args []string) ([]byte, error) {
	switch {
	case len(args) == 0:
		return nil, nil
	case args[0] == "-":
		return io.ReadAll(io.LimitReader(a.in, notify.MaxPayload+1))
	}
	return []byte(args[0]), nil
}

// post tries again until somebody waits there.
func (a *app) post(ctx context.Context, name string, payload []byte) error {
	addr, err := notify.Address(name)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	watch := endpoint.NewWatch(addr)
	defer func() { _ = watch.Close() }()
	for {
		err := notify.Post(waiting, name, payload)
		if fault.KindOf(err) != fault.Unavailable {
			return err
		}
		if watch.Wait(waiting) != nil {
			return err
		}
	}
}

// notified is one line of notify wait --json.
type notified struct {
	Payload string    `json:"payload"`
	Count   uint64    `json:"count"`
	From    identity  `json:"from"`
	At      time.Time `json:"at"`
}

func notifyWaitVerb(a *app) *cobra.Command {
	var count uint64
	var allow []string
	cmd := &cobra.Command{
		Use:   "wait NAME",
		Short: "Wait for notifications at NAME",
		Long: `Takes NAME and prints the payload of each notification on a line, with "?" for
what a terminal would obey; --json has it as it is. Those that come faster than
they are printed are merged: the newest payload, and with --json how many there
were. Ends after --count of them, 0 for never.`,
		Example: `  parley notify wait reload && systemctl reload orders
  parley notify wait events --count 0 --json`,
		Args: exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.waitNotified(cmd.Context(), args[0], count, allow)
		},
	}
	cmd.Flags().Uint64Var(&count, "count", 1, "end after this many; 0: never")
	cmd.Flags().StringArrayVar(&allow, "allow", nil, `also let these notify: uid:N, user:NAME, group:NAME, "*" (repeatable)`)
	return cmd
}

func (a *app) waitNotified(ctx context.Context, name string, count uint64, allow []string) (err error) {
	authorizer, done, err := a.notifyPolicy(name, allow)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	w, err := notify.Wait(ctx, name, notify.Config{Authorizer: authorizer, Logger: a.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for seen := uint64(0); count == 0 || seen < count; {
		n, err := w.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil // told to end
			}
			return err
		}
		seen += n.Count
		if a.json {
			err = a.printJSON(notified{string(n.Payload), n.Count, showIdentity(n.From), n.At})
		} else {
			_, err = fmt.Fprintln(a.out, harmless(strings.TrimSuffix(string(n.Payload), "\n")))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// notifyPolicy is the policy in force and what --allow adds for this name.
func (a *app) notifyPolicy(name string, allow []string) (auth.Authorizer, func() error, error) {
	base, done, err := a.policyInForce()
	if err != nil || len(allow) == 0 {
		return base, done, err
	}
	extra, err := policy.New([]policy.Rule{{Who: allow, May: []auth.Action{auth.Signal}, On: []string{"notify:" + name}}}, policy.Options{})
	if err != nil {
		return nil, nil, errors.Join(usageError{fmt.Errorf("--allow: %w", err)}, done())
	}
	return either{allow: extra, base: base}, done, nil
}
