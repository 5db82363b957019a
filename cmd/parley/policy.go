// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/policy/file"
)

func policyVerb(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Ask what the policy would decide, or check its file",
		Example: `  parley policy lint policy.yaml
  parley policy check --as uid:1000 connect endpoint:shm://orders`,
	}
	cmd.AddCommand(policyCheck(a), policyLint(a))
	return cmd
}

// decision is the answer of parley policy check.
type decision struct {
	Who      string `json:"who"`
	Action   string `json:"action"`
	Resource string `json:"resource"`
	Allowed  bool   `json:"allowed"`
	Rule     int    `json:"rule,omitempty"`
	Position string `json:"position,omitempty"`
	Reason   string `json:"reason"`
}

func policyCheck(a *app) *cobra.Command {
	var as string
	cmd := &cobra.Command{
		Use:   "check --as WHO ACTION RESOURCE",
		Short: "Show what the policy decides, and by which rule",
		Long: `Shows whether WHO may do ACTION on RESOURCE, and which rule decides. WHO is
uid:N, user:NAME, spiffe://…, dns:…, cn:…, token:NAME or anonymous. The exit code
is 0 where it is allowed and 3 where it is denied.`,
		Example: "  parley policy check --as user:render call rpc:/orders.v1.Orders/Get",
		Args:    exactArgs(2, "ACTION RESOURCE"),
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := a.decide(as, auth.Action(args[0]), args[1])
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(d)
			} else {
				word := map[bool]string{true: "allowed", false: "denied"}[d.Allowed]
				fmt.Fprintf(a.out, "%s: %s\n", word, d.Reason)
			}
			if err == nil && !d.Allowed {
				return codeError(exitDenied)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "who asks (required)")
	return cmd
}

func (a *app) decide(as string, action auth.Action, resource string) (decision, error) {
	if as == "" {
		return decision{}, usageError{errors.New("--as is missing: write --as uid:N, user:NAME, spiffe://…, token:NAME or anonymous")}
	}
	id, err := policy.Subject(as)
	if err != nil {
		return decision{}, usageError{fmt.Errorf("--as: %w", err)}
	}
	if !slices.Contains(auth.Actions(), action) {
		return decision{}, usageError{fmt.Errorf("%q is no action: write one of %v", action, auth.Actions())}
	}
	p, err := a.loadPolicy()
	if err != nil {
		return decision{}, err
	}
	e := p.Explain(id, action, resource)
	return decision{
		Who: id.String(), Action: string(action), Resource: resource,
		Allowed: e.Allowed, Rule: e.Rule, Position: e.Position, Reason: e.Reason,
	}, nil
}

// loadPolicy is the policy in force; without a file, the empty one.
func (a *app) loadPolicy() (*policy.Policy, error) {
	path, err := file.Find(a.policy)
	if err != nil {
		return nil, err
	}
	if path == "" {
		return policy.New(nil, policy.Options{})
	}
	return file.Load(path, policy.Options{})
}

func policyLint(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lint [FILE]",
		Short: "Check a policy file: mistakes, and rules that do nothing",
		Long: `Checks a policy file and shows every mistake with its line and column (exit code
1), and as warnings rules that can never decide anything or admit more than
they seem to (exit code 0).`,
		Example: "  parley policy lint /etc/parley/policy.yaml",
		Args:    maxArgs(1, "at most one FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.policy = args[0]
			}
			path, err := file.Find(a.policy)
			if err != nil {
				return err
			}
			if path == "" {
				fmt.Fprintln(a.err, "there is no policy file: only the owner of an endpoint and root get in")
				return nil
			}
			return a.lint(path)
		},
	}
}

func (a *app) lint(path string) error {
	report, err := file.Lint(path, policy.Options{})
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(report)
	} else {
		for _, m := range report.Mistakes {
			fmt.Fprintln(a.out, m)
		}
		for _, m := range report.Warnings {
			fmt.Fprintf(a.out, "%v [warning]\n", m)
		}
		if len(report.Mistakes)+len(report.Warnings) == 0 {
			fmt.Fprintf(a.out, "%s: no mistakes\n", path)
		}
	}
	if err == nil && len(report.Mistakes) > 0 {
		return codeError(exitFailed)
	}
	return err
}
