// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/auth/ca"
	"github.com/parley-ipc/parley/fault"
)

func caVerb(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Run a private certificate authority for tls://",
		Long: `Makes the certificates that tls:// needs, without openssl: an authority of your
own, and leaves from it that name a process by SPIFFE id or a host by DNS name.
Keys are files of mode 0600; nothing is overwritten unless --force says so.`,
		Example: `  parley ca init
  parley ca issue --dns localhost --ip 127.0.0.1 --out server
  parley ca issue --spiffe spiffe://corp/billing/worker --out worker
  parley ca show worker.crt`,
	}
	cmd.AddCommand(caInit(a), caIssue(a), caShow(a))
	return cmd
}

// defaultCADir is where the authority lives unless --dir says otherwise.
func defaultCADir() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "ca"
	}
	return filepath.Join(dir, "parley", "ca")
}

func caInit(a *app) *cobra.Command {
	var dir, name string
	var validity time.Duration
	cmd := &cobra.Command{
		Use:     "init",
		Short:   "Make an authority",
		Example: "  parley ca init --name 'Example Corp'",
		Args:    exactArgs(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if err := ca.Init(dir, name, validity); err != nil {
				return initHint(err)
			}
			files := map[string]string{"ca": filepath.Join(dir, ca.CertName), "key": filepath.Join(dir, ca.KeyName)}
			if a.json {
				return a.printJSON(files)
			}
			fmt.Fprintf(a.out, "%s  give this to both sides as --ca\n%s  keep this secret\n", files["ca"], files["key"])
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", defaultCADir(), "where the authority is kept")
	cmd.Flags().StringVar(&name, "name", "Parley private CA", "its name in certificates")
	cmd.Flags().DurationVar(&validity, "for", ca.DefaultValidity, "how long it is valid")
	return cmd
}

// initHint corrects the hint for a name that is taken: an authority is never
// replaced.
func initHint(err error) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Kind == fault.InUse {
		return e.WithHint("there is an authority already; for another one choose another --dir")
	}
	return hinted(err, "we may not write there: choose another directory with --dir")
}

func caIssue(a *app) *cobra.Command {
	var dir, out string
	var ips []string
	var r ca.Request
	cmd := &cobra.Command{
		Use:   "issue",
		Short: "Issue a certificate and its key",
		Long: `Issues a certificate from the authority. It names its holder by --spiffe, which
is how tls:// then knows it, else by the first --dns. A server's must also carry
the host names or addresses by which it is dialled.`,
		Example: "  parley ca issue --spiffe spiffe://corp/orders --dns orders.internal --ip 127.0.0.1 --out orders",
		Args:    exactArgs(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			for _, ip := range ips {
				addr, err := netip.ParseAddr(ip)
				if err != nil {
					return usageError{fmt.Errorf("--ip: %w", err)}
				}
				r.IPs = append(r.IPs, addr)
			}
			if out != "" {
				r.Dir, r.Name = filepath.Dir(out), filepath.Base(out)
			}
			leaf, err := ca.Issue(dir, r)
			if err != nil {
				return hinted(err, "we may not write there: choose another place with --out")
			}
			if a.json {
				return a.printJSON(leaf)
			}
			fmt.Fprintf(a.out, "%s  --cert, valid until %s\n%s  --key\n%s  --ca\n", leaf.CertFile, leaf.NotAfter.Format(time.DateOnly), leaf.KeyFile, leaf.CAFile)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", defaultCADir(), "where the authority is kept")
	f.StringVar(&out, "out", "", "path of the files without their ending (default: the name, beside the authority)")
	f.StringVar(&r.SPIFFE, "spiffe", "", "SPIFFE id: spiffe://TRUST-DOMAIN/PATH")
	f.StringArrayVar(&r.DNS, "dns", nil, "host name (repeatable)")
	f.StringArrayVar(&ips, "ip", nil, "address (repeatable)")
	f.StringVar(&r.CommonName, "cn", "", "common name (default: the first of the names)")
	f.DurationVar(&r.Validity, "for", ca.DefaultLeafValidity, "how long it is valid")
	f.BoolVar(&r.Client, "client", false, "only for dialling")
	f.BoolVar(&r.Server, "server", false, "only for listening")
	f.BoolVar(&r.Force, "force", false, "replace files that are there")
	return cmd
}

func caShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show FILE…",
		Short:   "Show what a certificate says",
		Example: "  parley ca show worker.crt --json",
		Args:    minArgs(1, "at least one FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, file := range args {
				info, err := ca.Show(file)
				if err != nil {
					return err
				}
				if a.json {
					err = a.printJSON(info)
				} else {
					a.printCertificate(info)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) printCertificate(i ca.Info) {
	var use []string
	for _, u := range []struct {
		is   bool
		word string
	}{{i.CA, "authority"}, {i.Client, "dialling"}, {i.Server, "listening"}} {
		if u.is {
			use = append(use, u.word)
		}
	}
	until := i.NotAfter.Format(time.DateTime)
	if i.Expired(time.Now()) {
		until += ", EXPIRED"
	}
	fmt.Fprintf(a.out, "%s\n  identity  %s\n  issuer    %s\n  names     %s\n  for       %s\n  valid     %s to %s\n  sha256    %s\n",
		i.File, i.Identity, i.Issuer, strings.Join(append(append(append([]string(nil), i.URIs...), i.DNS...), i.IPs...), ", "),
		strings.Join(use, ", "), i.NotBefore.Format(time.DateTime), until, i.Fingerprint)
}
