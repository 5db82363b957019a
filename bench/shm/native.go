// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// sources are the peers in C and C++.
//
//go:embed native
var sources embed.FS

// native is a peer that is compiled before the run.
type native struct {
	source   string
	compiler string
	flags    []string // include directories
	link     []string
}

// build compiles it into dir and returns the program.
func (n native) build(ctx context.Context, dir string) (string, error) {
	for _, name := range []string{"party.h", n.source} {
		text, err := sources.ReadFile("native/" + name)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", err
		}
	}
	program := filepath.Join(dir, n.source+".out")
	args := append([]string{"-O2", "-o", program, filepath.Join(dir, n.source)}, n.flags...)
	out, err := exec.CommandContext(ctx, n.compiler, append(args, n.link...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%.400s", n.compiler, n.source, err, out)
	}
	return program, nil
}

// include finds a directory of headers whose name has a version in it.
func include(pattern string) []string {
	var flags []string
	found, _ := filepath.Glob(pattern) // the pattern is ours
	for _, dir := range found {
		flags = append(flags, "-I"+dir)
	}
	return flags
}
