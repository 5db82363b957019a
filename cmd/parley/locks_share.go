// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rundir"
	"github.com/parley-ipc/parley/policy"
	"github.com/parley-ipc/parley/policy/file"
	"github.com/parley-ipc/parley/primitive/procsync"
	"github.com/parley-ipc/parley/primitive/shm"
)

func locksShareVerb(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "share NAME",
		Short: "Let in who may use a lock by the policy",
		Long: `Lets those users and groups use NAME, and nobody else, whom a rule of the policy
lets "lock" on "lock:NAME". No process has to be there to be asked: the rule
becomes the access list of the lock's file, which the kernel minds. The verbs
that open a lock of ours do the same each time. Whoever has it open keeps it.`,
		Example: `  parley locks share backup`,
		Args:    exactArgs(1, "NAME"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.shareLocks(cmd, args[0]) },
	}
}

// sharing is what parley locks share --json prints.
type sharing struct {
	Name   string     `json:"name"`
	Kind   string     `json:"kind"`
	Access shm.Access `json:"access"`
}

func (a *app) shareLocks(cmd *cobra.Command, name string) error {
	access, left, err := a.lockAccess(name)
	switch {
	case err != nil:
		return err
	case access == nil && strings.Contains(name, "@"):
		return fault.New(fault.Denied, "share", name, errors.New("only its owner lets others in"))
	case access == nil:
		return fault.New(fault.Invalid, "share", name, errors.New("there is no policy that says with whom")).
			WithHint(fmt.Sprintf(`write a rule such as {who: ["user:alice"], may: [lock], on: ["lock:%s"]}, see docs/guides/policy.md`, name))
	}
	for _, rule := range left {
		fmt.Fprintf(a.err, "parley: %s names others than users and groups of this machine: they cannot open a file\n", rule)
	}
	return eachKind(cmd.Context(), name, func(kind procsync.Kind) error {
		if err := procsync.Share(cmd.Context(), kind, name, *access); err != nil {
			return err
		}
		if a.json {
			return a.printJSON(sharing{name, kind.String(), *access})
		}
		_, err := fmt.Fprintf(a.out, "%s %s: %s\n", kind, name, access)
		return err
	})
}

// lockAccess is who may use the lock called name by the policy; nil if there is
// none, or the lock is another user's. left are rules that concern others than
// users and groups.
func (a *app) lockAccess(name string) (access *shm.Access, left []string, err error) {
	if strings.Contains(name, "@") {
		return nil, nil, nil
	}
	path, err := file.Find(a.policy)
	if err != nil || path == "" {
		return nil, nil, err
	}
	p, err := file.Load(path, policy.Options{})
	if err != nil {
		return nil, nil, err
	}
	local, left, err := p.Local(auth.Lock, "lock:"+name)
	if err != nil {
		return nil, left, err
	}
	return &shm.Access{Everybody: local.Everybody, UIDs: local.UIDs, GIDs: local.GIDs, NotUIDs: local.NotUIDs}, left, nil
}

// openAccess is lockAccess for the verbs that open a lock: where nobody else
// can come, a rule is only remarked upon.
func (a *app) openAccess(name string) (*shm.Access, error) {
	access, _, err := a.lockAccess(name)
	if err != nil || access == nil {
		return nil, err
	}
	dir, err := rundir.Locator{}.Ensure()
	if err == nil && dir.Shared || access.String() == "nobody" {
		return access, nil
	}
	fmt.Fprintf(a.err, "parley: the policy lets others use lock %s, who cannot reach into our runtime directory: see parley setup\n", name)
	return nil, nil
}
