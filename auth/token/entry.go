// SPDX-License-Identifier: Apache-2.0

package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/policy"
)

// Entry is a token as it is stored and listed: all but the secret.
type Entry struct {
	Name string `json:"name"`

	// Hash is the SHA-256 of the secret as it was printed, in hex.
	Hash string `json:"sha256"`

	// Scope is what the token may be used for, each "ACTION:KIND:GLOB" as in a
	// rule of policy ("call:rpc:/orders.v1.Orders/*"), ACTION or the rest may
	// be "*". It narrows what policy allows and never widens it.
	Scope []string `json:"scope"`

	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
}

// Expired reports whether the token is past its end at now.
func (e Entry) Expired(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

const (
	prefix     = "parley_"
	secretSize = 32 // bytes before encoding
	maxName    = 64
	maxScope   = 64 // entries of one token
)

// newSecret returns a secret and its hash.
func newSecret() (secret, hash string) {
	var b [secretSize]byte
	_, _ = rand.Read(b[:]) // it never fails: it ends the program first
	secret = prefix + base64.RawURLEncoding.EncodeToString(b[:])
	return secret, hashOf(secret)
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// check reports what is wrong with an entry, and compiles its scope.
func (e Entry) check() (*policy.Policy, error) {
	if e.Name == "" || len(e.Name) > maxName || strings.ContainsFunc(e.Name, notInName) {
		return nil, fmt.Errorf("the name %q is not 1 to %d letters, digits, '.', '_' and '-'", e.Name, maxName)
	}
	if b, err := hex.DecodeString(e.Hash); err != nil || len(b) != sha256.Size || e.Hash != strings.ToLower(e.Hash) {
		return nil, fmt.Errorf("the token %s has no SHA-256", e.Name)
	}
	if len(e.Scope) == 0 || len(e.Scope) > maxScope {
		return nil, fmt.Errorf("the token %s has %d scopes: give 1 to %d, such as \"connect:endpoint:tls://**\", or \"*:*\" for all", e.Name, len(e.Scope), maxScope)
	}
	return compile(e.Name, e.Scope)
}

func notInName(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r)
}

// compile makes rules of a scope, so that its globs mean what policy's mean.
func compile(name string, scope []string) (*policy.Policy, error) {
	var rules []policy.Rule
	for _, s := range scope {
		action, resource, ok := strings.Cut(s, ":")
		if !ok {
			return nil, fmt.Errorf("the scope %q is not ACTION:KIND:GLOB", s)
		}
		rules = append(rules, policy.Rule{Who: []string{"token:" + name}, May: []auth.Action{auth.Action(action)}, On: []string{resource}, Position: s})
	}
	p, err := policy.New(rules, policy.Options{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the scope of %s", name), err)
	}
	return p, nil
}
