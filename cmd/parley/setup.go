// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/rundir"
)

func setupVerb(a *app) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Make /run/parley, where users reach each other's endpoints",
		Long: `Makes /run/parley with mode 1777, like /tmp: each user gets a directory of its
own there, through which others may pass to its sockets; policy decides who gets
in. Needs root once after each boot; a package does the same with the line
"d /run/parley 1777 root root -" in /usr/lib/tmpfiles.d/parley.conf.`,
		Example: "  sudo parley setup",
		Args:    exactArgs(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			made, err := makeShared(dir)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"directory": dir, "made": made})
			}
			if made {
				fmt.Fprintf(a.out, "made %s, mode 1777\n", dir)
				return nil
			}
			fmt.Fprintf(a.out, "%s was there already, as it should be\n", dir)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", rundir.DefaultShared, "the directory to make")
	return cmd
}

// makeShared makes dir with mode 1777, or checks the one that is there. What
// is wrong with an existing one is told, not mended: somebody else made it.
func makeShared(dir string) (made bool, err error) {
	const mode = fs.ModeSticky | 0o777
	if err := os.Mkdir(dir, 0o755); err == nil {
		return true, fault.Wrap("setup", dir, os.Chmod(dir, mode))
	} else if !errors.Is(err, fs.ErrExist) {
		e := fault.New(fault.KindOf(err), "setup", dir, err)
		if errors.Is(err, fs.ErrPermission) {
			e = e.WithHint("run it as root")
		}
		return false, e
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return false, fault.Wrap("setup", dir, err)
	}
	switch uid, known := ownerOf(st); {
	case !st.IsDir():
		err = errors.New("it is there, but is not a directory")
	case known && uid != 0 && uid != uint32(os.Geteuid()):
		err = fmt.Errorf("it is there, but belongs to uid %d", uid)
	case st.Mode()&(fs.ModeSticky|fs.ModePerm) != mode:
		err = fmt.Errorf("it is there, but its mode is %v instead of %v", st.Mode(), fs.ModeDir|mode)
	}
	if err != nil {
		return false, fault.New(fault.Invalid, "setup", dir, err).WithHint("look who made it, remove it, and run setup again")
	}
	return false, nil
}
