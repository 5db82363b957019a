// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// settable are the flags that the environment and the configuration file may
// set: never one that runs a program, removes or overwrites something.
var settable = []string{"json", "timeout", "log-level", "log-format", "policy", "cert", "key", "ca", "server-name", "token-file", "spin"}

// ownMeaning marks a verb's flag that only shares its name with a setting.
const ownMeaning = "own-meaning"

// applySettings fills each settable flag that the command line left alone:
// from PARLEY_FLAG in the environment, else from the configuration file.
func applySettings(cmd *cobra.Command) error {
	file, path, err := readSettings()
	if err != nil {
		return err
	}
	var errs []error
	for name := range file {
		if !slices.Contains(settable, name) {
			errs = append(errs, fmt.Errorf("%s: %q is no setting: it knows %s", path, name, strings.Join(settable, ", ")))
		}
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, own := f.Annotations[ownMeaning]; own || f.Changed || !slices.Contains(settable, f.Name) {
			return
		}
		env := "PARLEY_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, source := os.Getenv(env), "$"+env
		if value == "" {
			value, source = file[f.Name], path+": "+f.Name
		}
		if value == "" {
			return
		}
		if err := f.Value.Set(value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", source, err))
		}
	})
	return errors.Join(errs...)
}

// readSettings reads "flag: value" lines; a missing file is an empty one.
func readSettings() (map[string]string, string, error) {
	dir, err := os.UserConfigDir()
	if err != nil { // no home: nothing to read
		return nil, "", nil
	}
	path := filepath.Join(dir, "parley", "config.yaml")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, path, nil
	}
	if err != nil {
		return nil, path, err
	}
	settings := map[string]string{}
	if err := yaml.Unmarshal(text, &settings); err != nil {
		return nil, path, fmt.Errorf("%s: %w", path, err)
	}
	return settings, path, nil
}
