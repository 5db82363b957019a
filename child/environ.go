// SPDX-License-Identifier: Apache-2.0

package child

import (
	"os"
	"os/user"
	"strconv"
)

// kept are the variables that every child gets as we have them, and personal
// those that another user's child does not.
var (
	kept     = []string{"PATH", "LANG", "LC_ALL", "TZ", "TMPDIR"}
	personal = []string{"HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "PARLEY_RUNTIME_DIR"}
)

// anotherUsers reports that the child will be another user's.
func (c Config) anotherUsers() bool { return c.UID != nil && int64(*c.UID) != int64(os.Geteuid()) }

// environ is the child's environment; of a name that comes twice the last wins.
func (c Config) environ() []string {
	if c.InheritEnv {
		return append(os.Environ(), c.Env...)
	}
	env := present(kept)
	if c.anotherUsers() {
		env = append(env, belongings(*c.UID)...)
	} else {
		env = append(env, present(personal)...)
	}
	return append(env, c.Env...)
}

func present(names []string) (env []string) {
	for _, name := range names {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// belongings is nothing for a uid that nobody has been given.
func belongings(uid uint32) []string {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return nil
	}
	return []string{"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username}
}
