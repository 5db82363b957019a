// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// app is what every verb shares: the standard streams and the global flags.
// stdout carries data, stderr logs and progress.
type app struct {
	in  *os.File
	out io.Writer
	err io.Writer
	log *slog.Logger

	json      bool
	timeout   time.Duration
	logLevel  string
	logFormat string
	policy    string
}

// verb is the constructor of one subcommand.
type verb func(*app) *cobra.Command

// The groups of the help, in order, with their verbs.
var groups = []struct {
	id, title string
	verbs     []verb
}{
	{"connect", "Connect:", []verb{demoVerb, listenVerb, dialVerb, sendVerb, receiveVerb, relayVerb, whoamiVerb, peerVerb}},
	{"call", "Call:", []verb{rpcVerb}},
	{"queue", "Queue:", []verb{
		mqVerb,
	}},
	{"share", "Share:", []verb{
		pubVerb,
		subVerb,
		cellVerb,
	}},
	{"synchronise", "Synchronise:", []verb{lockVerb, semVerb, barrierVerb, locksVerb,
		runVerb,
		signalVerb,
		watchVerb,
		notifyVerb,
	}},
	{"operate", "Operate:", []verb{lsVerb, ipcsVerb, policyVerb, caVerb, tokenVerb, setupVerb, doctorVerb, gcVerb, benchVerb, versionVerb}},
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "parley",
		Short: "Connect processes, and see who talks to whom",
		Long: `Parley connects processes: on one machine at memory speed, across machines
over encrypted connections. One address chooses how:

  shm://NAME      shared memory            unix://NAME   unix socket
  tcp://HOST:PORT plain TCP (loopback)     tls://H:P     TLS 1.3
  fifo:///PATH    two named pipes          exec:CMD ARGS a child's stdin and stdout
  stdio:          our own stdin and stdout

shm://NAME?ring=256KiB&prefault=true chooses the size of our ring (a power of two
from 16KiB to 1GiB) and has it mapped beforehand, as --ring and --prefault do.

Exit codes: 0 ok, 1 failed, 2 usage, 3 denied, 4 timed out or unavailable. Verbs
that run a CMD end with its code; a failure of our own is then 125: see their help.
The global flags and those about certificates can also be set by PARLEY_FLAG in
the environment, or by "flag: value" in $XDG_CONFIG_HOME/parley/config.yaml.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: a.prepare,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())}
	})
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print JSON instead of text")
	f.DurationVar(&a.timeout, "timeout", 5*time.Second, "bound on connecting and on single answers")
	f.StringVar(&a.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&a.logFormat, "log-format", "text", "text or json")
	f.StringVar(&a.policy, "policy", "", "policy file (default: $PARLEY_POLICY, the user's, then /etc/parley/policy.yaml)")
	for _, g := range groups {
		if len(g.verbs) == 0 {
			continue
		}
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, v := range g.verbs {
			cmd := v(a)
			cmd.GroupID = g.id
			if cmd.HasSubCommands() && cmd.RunE == nil {
				wantSubcommand(cmd)
			}
			root.AddCommand(cmd)
		}
	}
	return root
}

// prepare runs before every verb: the rest of the settings, then the logger.
func (a *app) prepare(cmd *cobra.Command, _ []string) error {
	if err := applySettings(cmd); err != nil {
		return usageError{err}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return usageError{fmt.Errorf("--log-level %q: write debug, info, warn or error", a.logLevel)}
	}
	options := &slog.HandlerOptions{Level: level}
	switch a.logFormat {
	case "text":
		a.log = slog.New(slog.NewTextHandler(a.err, options))
	case "json":
		a.log = slog.New(slog.NewJSONHandler(a.err, options))
	default:
		return usageError{fmt.Errorf("--log-format %q: write text or json", a.logFormat)}
	}
	return nil
}

// printJSON writes one value as one line of JSON.
func (a *app) printJSON(v any) error { return json.NewEncoder(a.out).Encode(v) }
