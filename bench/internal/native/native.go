// SPDX-License-Identifier: Apache-2.0

// Package native compiles the peers in C and C++ of a benchmark.
package native

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// header has the commands of package party.
//
//go:embed party.h
var header []byte

// Peer is a program that is compiled before the run.
type Peer struct {
	Sources  embed.FS
	Source   string // within them
	Compiler string
	Flags    []string // before the source
	Link     []string // after it
}

// Build compiles it into dir and returns the program.
func (p Peer) Build(ctx context.Context, dir string) (string, error) {
	text, err := p.Sources.ReadFile(p.Source)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "party.h"), header, 0o600); err != nil {
		return "", err
	}
	source := filepath.Join(dir, filepath.Base(p.Source))
	if err := os.WriteFile(source, text, 0o600); err != nil {
		return "", err
	}
	program := source + ".out"
	args := append([]string{"-O2", "-o", program, source}, p.Flags...)
	out, err := exec.CommandContext(ctx, p.Compiler, append(args, p.Link...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%.400s", p.Compiler, p.Source, err, out)
	}
	return program, nil
}

// Include finds a directory of headers whose name has a version in it.
func Include(pattern string) []string {
	var flags []string
	found, _ := filepath.Glob(pattern) // the pattern is the program's own
	for _, dir := range found {
		flags = append(flags, "-I"+dir)
	}
	return flags
}
