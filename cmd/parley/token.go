// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/auth/token"
	"github.com/parley-ipc/parley/fault"
)

func tokenVerb(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list, check and revoke the bearer tokens that a server takes",
		Long: `Keeps the file of tokens that calls may present instead of a certificate. Only
hashes are stored. A token never widens what policy allows its name,
"token:NAME"; a scope narrows it.`,
		Example: `  parley token add ci --scope 'call:rpc:/orders.v1.Orders/*' --expires 720h >ci.token
  parley token check --token-file ci.token call rpc:/orders.v1.Orders/Get
  parley token ls
  parley token revoke ci`,
	}
	var file string
	cmd.PersistentFlags().StringVar(&file, "file", defaultTokenFile(), "the file of tokens")
	cmd.AddCommand(tokenAdd(a, &file), tokenList(a, &file), tokenRevoke(a, &file), tokenCheck(a, &file))
	return cmd
}

// defaultTokenFile is where the tokens are unless --file says otherwise.
func defaultTokenFile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "tokens"
	}
	return filepath.Join(dir, "parley", "tokens")
}

const elsewhere = "we may not write there: choose another file with --file"

// tokenInfo is a token in JSON: all that is stored but its hash, and once,
// when it is made, its secret.
type tokenInfo struct {
	Name    string    `json:"name"`
	Scope   []string  `json:"scope"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Expired bool      `json:"expired"`
	Secret  string    `json:"secret,omitempty"`
}

func showToken(e token.Entry) tokenInfo {
	return tokenInfo{Name: e.Name, Scope: append([]string{}, e.Scope...), Created: e.Created, Expires: e.Expires, Expired: e.Expired(time.Now())}
}

func tokenAdd(a *app, file *string) *cobra.Command {
	var scope []string
	var expires time.Duration
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a token and print its secret, this once",
		Long: `Makes a token and prints its secret on stdout; it is stored nowhere and cannot be
shown again. A scope is ACTION:KIND:GLOB, as in a rule of policy, or "*:*" for all
that policy allows the token's name; at least one is needed.`,
		Example: "  parley token add ci --scope 'call:rpc:/orders.v1.Orders/*' --expires 720h",
		Args:    exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if expires < 0 {
				return usageError{fmt.Errorf("--expires %v: write how long it lasts, such as 720h", expires)}
			}
			if err := os.MkdirAll(filepath.Dir(*file), 0o700); err != nil {
				return hinted(fault.Wrap("token add", *file, err), elsewhere)
			}
			store, err := token.Open(*file)
			if err != nil {
				return err
			}
			secret, entry, err := store.Add(cmd.Context(), args[0], scope, expires)
			if err != nil {
				return hinted(err, elsewhere)
			}
			if a.json {
				info := showToken(entry)
				info.Secret = secret
				return a.printJSON(info)
			}
			fmt.Fprintln(a.err, "the secret is shown this once; give it to its bearer and to nobody else")
			fmt.Fprintln(a.out, secret)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&scope, "scope", nil, "what it may be used for (needed, repeatable)")
	cmd.Flags().DurationVar(&expires, "expires", 0, "how long it lasts (default: for ever)")
	return cmd
}

func tokenList(a *app, file *string) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Short:   "List the tokens",
		Example: "  parley token ls --json",
		Args:    exactArgs(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			store, err := token.Open(*file)
			if err != nil {
				return err
			}
			entries, err := store.List()
			if err != nil {
				return err
			}
			rows := make([]tokenInfo, len(entries))
			for i, e := range entries {
				rows[i] = showToken(e)
			}
			if a.json {
				return a.printJSON(rows)
			}
			return a.printTokens(rows)
		},
	}
}

func (a *app) printTokens(rows []tokenInfo) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tEXPIRES\tCREATED\tSCOPE")
	for _, t := range rows {
		expires := "never"
		if !t.Expires.IsZero() {
			expires = t.Expires.Local().Format(time.DateTime)
		}
		if t.Expired {
			expires = "EXPIRED " + expires
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.Name, expires, t.Created.Local().Format(time.DateTime), strings.Join(t.Scope, ", "))
	}
	return w.Flush()
}

func tokenRevoke(a *app, file *string) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke NAME",
		Short:   "Remove a token; servers refuse it from now on",
		Example: "  parley token revoke ci",
		Args:    exactArgs(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := token.Open(*file)
			if err != nil {
				return err
			}
			if err := store.Revoke(cmd.Context(), args[0]); err != nil {
				return hinted(err, elsewhere)
			}
			if a.json {
				return a.printJSON(map[string]string{"revoked": args[0]})
			}
			fmt.Fprintf(a.out, "revoked %s\n", args[0])
			return nil
		},
	}
}
