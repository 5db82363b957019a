// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/internal/rundir"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/policy/file"
)

// A finding is one row of parley doctor.
type finding struct {
	Subject string `json:"subject"`
	State   string `json:"state"` // ok, note (works without), bad (something will not work)
	Detail  string `json:"detail"`
	Do      string `json:"do,omitempty"` // what to do about it
}

const (
	stateOK   = "ok"
	stateNote = "note"
	stateBad  = "bad"
)

func doctorVerb(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check kernel features, limits and directories, and say what to do",
		Long: `Tries what Parley needs of this machine and shows what it found. "note" is
something that Parley works without; "bad" is something that will not work, and
makes the exit code 1.`,
		Example: "  parley doctor --json",
		Args:    exactArgs(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			rows := append(systemFindings(), a.settingsFindings()...)
			if err := a.printFindings(rows); err != nil {
				return err
			}
			for _, row := range rows {
				if row.State == stateBad {
					return codeError(exitFailed)
				}
			}
			return nil
		},
	}
}

func (a *app) printFindings(rows []finding) error {
	if a.json {
		return a.printJSON(rows)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\n", row.State, row.Subject, row.Detail)
		if row.Do != "" {
			fmt.Fprintf(w, "\t\t→ %s\n", row.Do)
		}
	}
	return w.Flush()
}

// settingsFindings are about directories and files of Parley's own.
func (a *app) settingsFindings() []finding {
	return []finding{a.runtimeDirFinding(), sharedDirFinding(), a.policyFinding()}
}

func (a *app) runtimeDirFinding() finding {
	dir, err := rundir.Locator{}.Ensure()
	if err != nil {
		return finding{"runtime directory", stateBad, err.Error(), ""}
	}
	kind := "private: only uid " + fmt.Sprint(dir.UID) + " gets in"
	if dir.Shared {
		kind = "shared: policy decides who gets in"
	}
	return finding{"runtime directory", stateOK, dir.Path + " (" + kind + ")", ""}
}

func sharedDirFinding() finding {
	if _, err := os.Stat(rundir.DefaultShared); err != nil {
		return finding{rundir.DefaultShared, stateNote, "not there: endpoints are reached by their own user only", "parley setup, as root, if users are to reach each other"}
	}
	if _, err := makeShared(rundir.DefaultShared); err != nil {
		return finding{rundir.DefaultShared, stateBad, err.Error(), ""}
	}
	return finding{rundir.DefaultShared, stateOK, "mode 1777", ""}
}

func (a *app) policyFinding() finding {
	path, err := file.Find(a.policy)
	if err != nil {
		return finding{"policy", stateBad, err.Error(), ""}
	}
	if path == "" {
		return finding{"policy", stateOK, "none: only the owner of an endpoint and root get in", ""}
	}
	report, err := file.Lint(path, policy.Options{})
	if err != nil {
		return finding{"policy", stateBad, err.Error(), ""}
	}
	if len(report.Mistakes) > 0 {
		return finding{"policy", stateBad, fmt.Sprintf("%s: %d mistakes", path, len(report.Mistakes)), "parley policy lint " + path}
	}
	return finding{"policy", stateOK, path, ""}
}

// probe makes a row of an attempt: nil is ok, else state with what to do.
func probe(subject, detail string, err error, state, do string) finding {
	if err == nil {
		return finding{subject, stateOK, detail, ""}
	}
	return finding{subject, state, err.Error(), do}
}
