// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`) // relative: no scheme
	span = regexp.MustCompile("`([a-z.][a-z0-9_.]*(?:/[a-z0-9_.-]+)+/?)`")
)

// linksLead wants relative links in documents to lead somewhere, and what
// docs/ARCHITECTURE.md tells the reader to open to exist.
func linksLead(tr *tree) []string {
	var bad []string
	for _, f := range tr.files {
		if !strings.HasSuffix(f.path, ".md") {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(string(f.text), -1) {
			if to := path.Join(f.dir(), m[1]); !tr.exists(to) {
				bad = append(bad, fmt.Sprintf("%s: links to %s, which is not there", f.path, to))
			}
		}
	}
	for _, m := range span.FindAllStringSubmatch(tr.text("docs/ARCHITECTURE.md"), -1) {
		if !tr.exists(m[1]) {
			bad = append(bad, "docs/ARCHITECTURE.md: there is no "+m[1])
		}
	}
	return bad
}

func (tr *tree) exists(name string) bool {
	_, err := os.Stat(filepath.Join(tr.root, filepath.FromSlash(name)))
	return err == nil
}
