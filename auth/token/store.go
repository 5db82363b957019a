// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/policy"
)

// Store is the tokens in one file, which need not exist yet. Its methods may
// run at once, in this process and in others.
type Store struct {
	path string           // immutable
	now  func() time.Time // immutable

	mu   sync.Mutex
	seen os.FileInfo // guarded by mu: the file that all came from; nil: none
	all  []entry     // guarded by mu, replaced as a whole
}

// Open returns the store in the file at path. A file that is there must be
// sound, ours or root's, and writable by nobody else.
func Open(path string) (*Store, error) {
	s := &Store{path: path, now: time.Now}
	_, err := s.current()
	return s, err
}

// Grant is what a token gives its bearer.
type Grant struct {
	auth.Identity          // of method auth.Token, named "token:NAME"
	Scope         []string // as it was given to Add
	Expires       time.Time
	rules         *policy.Policy
}

// Authorize returns nil if the token's scope covers action on resource, else
// fault.Denied. Policy has to allow it too.
func (g Grant) Authorize(ctx context.Context, action auth.Action, resource string) error {
	return g.rules.Authorize(ctx, g.Identity, action, resource)
}

// Add makes a token that lasts for validity, 0 meaning without end, and
// returns its secret, which is stored nowhere. A name that is taken is
// fault.InUse.
func (s *Store) Add(ctx context.Context, name string, scope []string, validity time.Duration) (string, Entry, error) {
	secret, hash := newSecret()
	now := s.now().UTC().Truncate(time.Second)
	e := entry{Entry: Entry{Name: name, Hash: hash, Scope: slices.Clone(scope), Created: now}}
	if validity < 0 {
		return "", Entry{}, fault.New(fault.Invalid, "token add", name, fmt.Errorf("the validity %v is negative", validity))
	}
	if validity > 0 {
		e.Expires = now.Add(validity)
	}
	rules, err := e.check()
	if err != nil {
		return "", Entry{}, fault.New(fault.Invalid, "token add", name, err)
	}
	e.scope = rules
	err = s.change(ctx, func(all []entry) ([]entry, error) {
		if slices.ContainsFunc(all, func(o entry) bool { return o.Name == name }) {
			return nil, fault.New(fault.InUse, "token add", name, nil).WithHint("revoke it first, or choose another name")
		}
		return append(slices.Clone(all), e), nil
	})
	if err != nil {
		return "", Entry{}, err
	}
	return secret, e.Entry, nil
}

// Revoke removes a token; a name that is not there is fault.NotFound. Every
// store on the file refuses the token from the next Verify on.
func (s *Store) Revoke(ctx context.Context, name string) error {
	return s.change(ctx, func(all []entry) ([]entry, error) {
		rest := slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return e.Name == name })
		if len(rest) == len(all) {
			return nil, fault.New(fault.NotFound, "token revoke", name, nil).WithHint("`parley token ls` lists them")
		}
		return rest, nil
	})
}

// List returns all tokens, expired ones too, in the order of their making.
func (s *Store) List() ([]Entry, error) {
	all, err := s.current()
	if err != nil {
		return nil, err
	}
	list := make([]Entry, len(all))
	for i, e := range all {
		list[i] = e.Entry
		list[i].Scope = slices.Clone(e.Scope)
	}
	return list, nil
}

// Verify returns what the token with this secret grants. A token that is
// unknown, revoked or expired is fault.Denied, and so is every token while the
// file is unreadable: the error's text is for our own log. The time it takes
// does not depend on how much of a secret is right.
func (s *Store) Verify(secret string) (Grant, error) {
	all, err := s.current()
	if err != nil {
		return Grant{}, fault.New(fault.Denied, "token", s.path, err)
	}
	hash := []byte(hashOf(secret))
	found := -1
	for i := range all {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(hash, []byte(all[i].Hash)), i, found)
	}
	if found < 0 {
		return Grant{}, fault.New(fault.Denied, "token", s.path, errors.New("no such token"))
	}
	e := all[found]
	if e.Expired(s.now()) {
		return Grant{}, fault.New(fault.Denied, "token", e.Name, fmt.Errorf("it expired on %s", e.Expires.Format(time.DateTime)))
	}
	id := auth.Identity{Method: auth.Token, Name: "token:" + e.Name}
	return Grant{Identity: id, Scope: slices.Clone(e.Scope), Expires: e.Expires, rules: e.scope}, nil
}

// current returns the entries of the file as it is now.
func (s *Store) current() ([]entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Lstat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.seen, s.all = nil, nil
		return nil, nil
	case err != nil:
		return nil, fault.Wrap("read", s.path, err)
	case s.seen != nil && unchanged(info, s.seen):
		return s.all, nil
	}
	info, all, err := load(s.path)
	if err != nil {
		s.seen, s.all = nil, nil // read it again next time
		return nil, err
	}
	s.seen, s.all = info, all
	return all, nil
}

func unchanged(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}
