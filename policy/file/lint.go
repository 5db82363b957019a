// SPDX-License-Identifier: Apache-2.0

package file

import "github.com/parley-ipc/parley/policy"

// Report is what Lint found in a file.
type Report struct {
	Rules    int      `json:"rules"`              // how many rules the file has
	Mistakes Mistakes `json:"mistakes,omitempty"` // why it would be refused
	Warnings Mistakes `json:"warnings,omitempty"` // what is probably not meant; only if there are no Mistakes
}

// Lint reads the file and tells all that is wrong or odd about it. The error
// is for a file that cannot be read at all.
func Lint(path string, o policy.Options) (Report, error) {
	text, err := read(path)
	if err != nil {
		return Report{}, err
	}
	f := parse(path, text)
	f.compile(o)
	r := Report{Rules: len(f.rules), Mistakes: sorted(f.mistakes)}
	if len(r.Mistakes) > 0 {
		return r, nil
	}
	warnings := f.locate(policy.Lint(f.rules, o))
	if len(f.rules) == 0 {
		warnings = append(warnings, Mistake{File: path, Line: 1, Column: 1, What: "there are no rules: only the owner and root get in"})
	}
	r.Warnings = sorted(warnings)
	return r, nil
}
