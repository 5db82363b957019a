// SPDX-License-Identifier: Apache-2.0

package party

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
)

// roleEnv holds what a process of a subject is.
const roleEnv = "PARLEY_BENCH_ROLE"

// Side is one process of a subject that runs this program again.
type Side struct {
	Name    string // of the role
	Left    bool   // it begins
	Dir     string // of the placement
	Index   int    // among those that answer
	Readers int    // how many of them there are
}

// Path is a file in the directory.
func (s Side) Path(name string) string { return filepath.Join(s.Dir, name) }

// Role makes the runner of a process. What a right side needs for the left to
// find it is there when its Role returns. A nil runner has no commands to take.
type Role func(context.Context, Side) (Runner, error)

// Again specifies a process of this program that plays a side.
func Again(s Side) Spec {
	side := "right"
	if s.Left {
		side = "left"
	}
	role := strings.Join([]string{s.Name, side, s.Dir, strconv.Itoa(s.Index), strconv.Itoa(s.Readers)}, "|")
	return Spec{Env: []string{roleEnv + "=" + role, "PARLEY_RUNTIME_DIR=" + s.Dir}}
}

// Pair specifies n processes that answer, and one that begins.
func Pair(name, dir string, n int) []Spec {
	var specs []Spec
	for i := range n {
		specs = append(specs, Again(Side{Name: name, Dir: dir, Index: i, Readers: n}))
	}
	return append(specs, Again(Side{Name: name, Left: true, Dir: dir, Readers: n}))
}

// Play plays the role that this process was started for, if any, and ends it.
func Play(roles map[string]Role) {
	role := os.Getenv(roleEnv)
	if role == "" {
		return
	}
	if err := play(role, roles); err != nil {
		name, _, _ := strings.Cut(role, "|")
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// ProfileEnv is a directory in which each process of a role leaves its
// processor profile.
const ProfileEnv = "PARLEY_BENCH_PROFILE"

func profile(s Side) (end func(), err error) {
	dir := os.Getenv(ProfileEnv)
	if dir == "" {
		return func() {}, nil
	}
	side := "right"
	if s.Left {
		side = "left"
	}
	name := strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace(s.Name)
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%s-%s-%d.pprof", filepath.Base(s.Dir), name, side, s.Index)))
	if err != nil {
		return nil, err
	}
	return pprof.StopCPUProfile, pprof.StartCPUProfile(f)
}

func play(role string, roles map[string]Role) error {
	parts := strings.Split(role, "|")
	if len(parts) != 5 || roles[parts[0]] == nil {
		return fmt.Errorf("%s=%q: no such role", roleEnv, role)
	}
	s := Side{Name: parts[0], Left: parts[1] == "left", Dir: parts[2]}
	var err error
	if s.Index, err = strconv.Atoi(parts[3]); err != nil {
		return err
	}
	if s.Readers, err = strconv.Atoi(parts[4]); err != nil {
		return err
	}
	end, err := profile(s)
	if err != nil {
		return err
	}
	defer end()
	run, err := roles[s.Name](context.Background(), s)
	if err != nil || run == nil {
		return err
	}
	return Serve(os.Stdin, os.Stdout, run)
}
