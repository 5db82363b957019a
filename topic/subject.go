// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parley-ipc/parley/fault"
)

// MaxSubject is the longest subject or filter, in bytes.
const MaxSubject = 255

// CheckSubject returns fault.Invalid for what cannot be published: a subject
// is empty, or tokens with one dot between each two. A token is not empty, is
// valid UTF-8, and has no blanks, control characters, '*' or '>'.
func CheckSubject(s string) error {
	if s == "" {
		return nil
	}
	why := checkTokens(s)
	if why == nil && strings.ContainsAny(s, "*>") {
		why = errors.New("'*' and '>' are for those who subscribe")
	}
	if why == nil {
		return nil
	}
	return fault.New(fault.Invalid, "subject", fmt.Sprintf("%q", s), why)
}

func checkTokens(s string) error {
	switch {
	case len(s) > MaxSubject:
		return fmt.Errorf("it has %d bytes, at most %d", len(s), MaxSubject)
	case !utf8.ValidString(s):
		return errors.New("it is not valid UTF-8")
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return errors.New("it contains a blank or a control character")
	case s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, ".."):
		return errors.New("a token between its dots is empty")
	}
	return nil
}

// Filter matches subjects as NATS does: '*' stands for exactly one token, and
// '>', which can only be the last, for one or more.
//
//	prices.eur   that subject
//	prices.*     prices.eur, but neither prices nor prices.eur.spot
//	prices.>     prices.eur and prices.eur.spot, but not prices
//	>            every subject, but not the empty one
//	(empty)      everything
//
// The zero Filter matches everything.
type Filter struct {
	text   string
	tokens []string // nil: compare the text
}

// ParseFilter reads a filter.
func ParseFilter(s string) (Filter, error) {
	if s == "" {
		return Filter{}, nil
	}
	why := checkTokens(s)
	tokens := strings.Split(s, ".")
	for i, token := range tokens {
		switch {
		case why != nil:
		case token == ">" && i < len(tokens)-1:
			why = errors.New("'>' stands for all that follows, so nothing can follow it")
		case len(token) > 1 && strings.ContainsAny(token, "*>"):
			why = fmt.Errorf("the token %q is more than its wildcard", token)
		}
	}
	if why != nil {
		return Filter{}, fault.New(fault.Invalid, "subject filter", fmt.Sprintf("%q", s), why)
	}
	f := Filter{text: s}
	if strings.ContainsAny(s, "*>") {
		f.tokens = tokens
	}
	return f, nil
}

// All reports whether f matches everything.
func (f Filter) All() bool { return f.text == "" }

// String is what ParseFilter reads.
func (f Filter) String() string { return f.text }

// Match reports whether the subject is one of f's. It allocates nothing.
func (f Filter) Match(subject string) bool {
	if f.tokens == nil {
		return f.text == "" || f.text == subject
	}
	if subject == "" {
		return false
	}
	rest, more := subject, true
	for _, want := range f.tokens {
		if !more {
			return false
		}
		if want == ">" {
			return true
		}
		var token string
		token, rest, more = strings.Cut(rest, ".")
		if want != "*" && want != token {
			return false
		}
	}
	return !more
}
