// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/auth/token"
	"github.com/parley-ipc/parley/fault"
)

// maxSecretFile bounds what is read in search of one line.
const maxSecretFile = 4 << 10

func tokenCheck(a *app, file *string) *cobra.Command {
	var secretFile string
	cmd := &cobra.Command{
		Use:   "check --token-file FILE [ACTION RESOURCE]",
		Short: "Show whose token a secret is, and what it allows",
		Long: `Reads a secret from --token-file (- is stdin) and shows which token it is, or why
it is none. With ACTION and RESOURCE it also shows whether both the token's scope
and the policy allow that. The exit code is 3 where something denies it.`,
		Example: `  parley token check --token-file ci.token
  parley token check --token-file ci.token call rpc:/orders.v1.Orders/Get`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactArgs(2, "ACTION RESOURCE, or nothing")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			secret, err := a.readSecret(secretFile)
			if err != nil {
				return err
			}
			store, err := token.Open(*file)
			if err != nil {
				return err
			}
			grant, err := store.Verify(secret)
			if err != nil {
				return err
			}
			if err := a.printGrant(grant); err != nil || len(args) == 0 {
				return err
			}
			return a.checkGrant(cmd.Context(), grant, auth.Action(args[0]), args[1])
		},
	}
	cmd.Flags().StringVar(&secretFile, "token-file", "", "the file with the token's secret (required)")
	return cmd
}

// readSecret reads the one line of a token's file. It is not our token, so
// whose file it is and who may read it is its owner's concern.
func (a *app) readSecret(name string) (string, error) {
	if name == "" {
		return "", usageError{errors.New("--token-file is missing: name the file with the token's secret, or - for stdin")}
	}
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", fault.Wrap("read token", name, err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSecretFile))
	if err != nil {
		return "", fault.Wrap("read token", name, err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" || strings.ContainsAny(secret, " \t\n") {
		return "", fault.New(fault.Invalid, "read token", name, errors.New("it is not one line with one secret")).
			WithHint("write what `parley token add` printed into it, and nothing else")
	}
	return secret, nil
}

func (a *app) printGrant(g token.Grant) error {
	if a.json {
		return a.printJSON(struct {
			Token   string    `json:"token"`
			Scope   []string  `json:"scope"`
			Expires time.Time `json:"expires,omitzero"`
		}{g.String(), g.Scope, g.Expires})
	}
	until := "for ever"
	if !g.Expires.IsZero() {
		until = "until " + g.Expires.Format(time.DateTime)
	}
	_, err := fmt.Fprintf(a.out, "%s, valid %s, scope %s\n", g, until, strings.Join(g.Scope, ", "))
	return err
}

// checkGrant asks the scope, then the policy in force.
func (a *app) checkGrant(ctx context.Context, g token.Grant, action auth.Action, resource string) error {
	if !slices.Contains(auth.Actions(), action) {
		return usageError{fmt.Errorf("%q is no action: write one of %v", action, auth.Actions())}
	}
	if err := g.Authorize(ctx, action, resource); err != nil {
		return fault.New(fault.Denied, "token check", g.String(), fmt.Errorf("its scope does not cover %s %s: %w", action, resource, err))
	}
	p, err := a.loadPolicy()
	if err != nil {
		return err
	}
	if d := p.Explain(g.Identity, action, resource); !d.Allowed {
		return fault.New(fault.Denied, "token check", g.String(), errors.New("its scope covers it, but the policy does not: "+d.Reason))
	}
	if !a.json {
		_, err = fmt.Fprintf(a.out, "allowed: %s %s\n", action, resource)
	}
	return err
}
