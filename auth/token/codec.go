// SPDX-License-Identifier: Apache-2.0

package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
)

// Limits of a file.
const (
	maxFile    = 4 << 20
	maxEntries = 10_000
)

// entry is a stored token with its scope compiled.
type entry struct {
	Entry
	scope *policy.Policy
}

// decode reads a file. Its error names the line; names and secrets are unique.
func decode(text []byte) ([]entry, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%w: more than %d bytes", fault.TooLarge, maxFile)
	}
	var all []entry
	names, hashes := map[string]bool{}, map[string]bool{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		e, err := decodeLine(line)
		switch {
		case err != nil:
		case names[e.Name]:
			err = fmt.Errorf("the name %s is there twice", e.Name)
		case hashes[e.Hash]:
			err = fmt.Errorf("the token %s has the hash of another", e.Name)
		case len(all) == maxEntries:
			err = fmt.Errorf("%w: more than %d tokens", fault.TooLarge, maxEntries)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		names[e.Name], hashes[e.Hash] = true, true
		all = append(all, e)
	}
	return all, nil
}

func decodeLine(line []byte) (entry, error) {
	var e entry
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields() // a misspelt "expires" must not mean never
	if err := d.Decode(&e.Entry); err != nil {
		return e, err
	}
	if _, err := d.Token(); err != io.EOF { //nolint:errorlint // the decoder returns it bare
		return e, fmt.Errorf("more than one object")
	}
	scope, err := e.check()
	e.scope = scope
	return e, err
}

func encode(all []entry) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // one object a line
	enc.SetEscapeHTML(false)
	for _, e := range all {
		if err := enc.Encode(e.Entry); err != nil {
			return nil, err
		}
	}
	if b.Len() > maxFile || len(all) > maxEntries {
		return nil, fmt.Errorf("%w: at most %d tokens in %d bytes", fault.TooLarge, maxEntries, maxFile)
	}
	return b.Bytes(), nil
}
