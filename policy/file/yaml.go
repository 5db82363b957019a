// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/parley-ipc/parley/policy"
)

// document returns the root of the only document in text, or nil after
// telling what is wrong. Nodes are not decoded further, so aliases are never
// expanded.
func (f *parsed) document(text []byte) *yaml.Node {
	var doc, next yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	err := d.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0:
		f.wrong(place{1, 1}, example, "the file is empty")
		return nil
	case err != nil:
		f.syntax(text, err)
		return nil
	}
	switch err := d.Decode(&next); {
	case err == nil:
		f.wrong(placeOf(&next), `remove the line "---"`, "there is a second document")
		return nil
	case !errors.Is(err, io.EOF):
		f.syntax(text, err)
		return nil
	}
	return doc.Content[0]
}

var (
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

	// bareStar is a "*" that YAML reads as the start of an alias.
	bareStar = regexp.MustCompile(`(?m)^(?:[^#"'\n]|"[^"\n]*"|'[^'\n]*')*(?:[\[,] *|- +|: +)(\*)(?:[\s,\]]|\*|$)`)
	tabbed   = regexp.MustCompile(`(?m)^ *(\t)`)
)

// syntax tells what the YAML reader stumbled on. It gives a line at best, and
// that of the surrounding list; the two usual slips are looked for by hand.
func (f *parsed) syntax(text []byte, err error) {
	for _, slip := range []struct {
		pattern *regexp.Regexp
		what    string
		hint    string
	}{
		{bareStar, "a bare * means something else in YAML", `write "*" with quotes`},
		{tabbed, "a tab where YAML wants spaces", "indent with spaces"},
	} {
		if at := slip.pattern.FindSubmatchIndex(text); at != nil {
			f.wrong(placeAt(text, at[2]), slip.hint, "%s", slip.what)
			return
		}
	}
	m := yamlLine.FindStringSubmatch(err.Error())
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m != nil {
		what = err.Error()[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	f.wrong(place{line, indent(text, line)}, "look for a missing quote, bracket, comma or space near here", "not YAML: %s", what)
}

// placeAt turns an offset into a place.
func placeAt(text []byte, offset int) place {
	before := text[:offset]
	return place{1 + bytes.Count(before, []byte("\n")), offset - bytes.LastIndexByte(before, '\n')}
}

// indent is the column of the first character of a line.
func indent(text []byte, line int) int {
	lines := bytes.Split(text, []byte("\n"))
	if line > len(lines) {
		return 1
	}
	l := lines[line-1]
	return 1 + len(l) - len(bytes.TrimLeft(l, " \t"))
}

// describe says what a node is, for a person.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!str":
		return fmt.Sprintf("the word %q", clip(n.Value))
	case "!!int", "!!float":
		return "the number " + clip(n.Value)
	case "!!bool":
		return "the truth value " + clip(n.Value)
	}
	return fmt.Sprintf("%q", clip(n.Value))
}

// sample is what a scalar in place of a list would be inside one.
func sample(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return "…"
	}
	return strconv.Quote(clip(n.Value))
}

func wordHint(field policy.Field, n *yaml.Node) string {
	if field == policy.Who && n.ShortTag() == "!!int" {
		return fmt.Sprintf("write uid:%s or gid:%s", clip(n.Value), clip(n.Value))
	}
	return "put it in quotes if it is meant"
}

// clip keeps a message short whatever the file holds.
func clip(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
