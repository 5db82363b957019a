// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.Main(m, map[string]proctest.Role{"add": addRole})
}

// addRole adds ten tokens named after its second argument to the first's file.
func addRole(p *proctest.Self) error {
	s, err := Open(p.Args[0])
	if err != nil {
		return err
	}
	for i := range 10 {
		if _, _, err := s.Add(context.Background(), fmt.Sprintf("%s-%d", p.Args[1], i), all, 0); err != nil {
			return err
		}
	}
	return nil
}

var all = []string{"*:*"}

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *Store, name string, scope []string, validity time.Duration) string {
	t.Helper()
	secret, _, err := s.Add(t.Context(), name, scope, validity)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func newStore(t *testing.T) *Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "sub", "tokens"))
}

func TestVerify(t *testing.T) {
	s := newStore(t)
	secret := add(t, s, "ci", []string{"call:rpc:/orders.v1.Orders/*", "connect:*"}, time.Hour)
	add(t, s, "other", all, 0)
	g, err := s.Verify(secret)
	if err != nil || g.String() != "token:ci" || g.Method != auth.Token || g.HasUID {
		t.Fatalf("Verify = %+v, %v, want token:ci", g, err)
	}
	for _, tt := range []struct {
		action   auth.Action
		resource string
		ok       bool
	}{
		{auth.Call, "rpc:/orders.v1.Orders/Get", true},
		{auth.Call, "rpc:/billing.v1.Billing/Get", false},
		{auth.Connect, "endpoint:tls://127.0.0.1:7000", true},
		{auth.Admin, "rpc:/orders.v1.Orders/Get", false},
	} {
		if err := g.Authorize(t.Context(), tt.action, tt.resource); (err == nil) != tt.ok || err != nil && !errors.Is(err, fault.Denied) {
			t.Errorf("%s on %s: %v, want allowed %v", tt.action, tt.resource, err, tt.ok)
		}
	}
	for _, wrong := range []string{"", "parley_", secret + "x", secret[:len(secret)-1], strings.ToUpper(secret)} {
		if g, err := s.Verify(wrong); !errors.Is(err, fault.Denied) || g.Name != "" {
			t.Errorf("Verify(%q) = %v, %v, want denied", wrong, g, err)
		}
	}
}

func TestSecretIsNotStored(t *testing.T) {
	s := newStore(t)
	secret := add(t, s, "ci", all, 0)
	text, err := os.ReadFile(s.path)
	if err != nil || strings.Contains(string(text), secret) || strings.Contains(string(text), strings.TrimPrefix(secret, prefix)) {
		t.Errorf("the file holds the secret (%v):\n%s", err, text)
	}
	if info, err := os.Stat(s.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if len(secret) != len(prefix)+43 || !strings.HasPrefix(secret, prefix) {
		t.Errorf("the secret %q has not 32 bytes", secret)
	}
}

func TestExpiry(t *testing.T) {
	s := newStore(t)
	secret := add(t, s, "short", all, time.Minute)
	start := time.Now()
	s.now = func() time.Time { return start.Add(58 * time.Second) }
	if _, err := s.Verify(secret); err != nil {
		t.Errorf("before its end: %v", err)
	}
	s.now = func() time.Time { return start.Add(time.Minute) }
	if _, err := s.Verify(secret); !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("after its end: %v, want denied", err)
	}
	if list, err := s.List(); err != nil || len(list) != 1 || !list[0].Expired(s.now()) {
		t.Errorf("List = %v, %v, want the expired one", list, err)
	}
}

// TestRevokedElsewhere: another store on the file, as in another process.
func TestRevokedElsewhere(t *testing.T) {
	s := newStore(t)
	secret := add(t, s, "ci", all, 0)
	other := open(t, s.path)
	if _, err := other.Verify(secret); err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), "ci"); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Verify(secret); !errors.Is(err, fault.Denied) {
		t.Errorf("a revoked token: %v, want denied", err)
	}
	if err := s.Revoke(t.Context(), "ci"); !errors.Is(err, fault.NotFound) {
		t.Errorf("revoked twice: %v, want not found", err)
	}
}

func TestRefusals(t *testing.T) {
	s := newStore(t)
	add(t, s, "taken", all, 0)
	for _, tt := range []struct {
		name, token string
		scope       []string
		validity    time.Duration
		want        fault.Kind
	}{
		{"taken", "taken", all, 0, fault.InUse},
		{"no name", "", all, 0, fault.Invalid},
		{"bad name", "a b", all, 0, fault.Invalid},
		{"no scope", "x", nil, 0, fault.Invalid},
		{"no action", "x", []string{"everything"}, 0, fault.Invalid},
		{"unknown action", "x", []string{"fly:*"}, 0, fault.Invalid},
		{"unknown kind", "x", []string{"call:moon:/x"}, 0, fault.Invalid},
		{"negative", "x", all, -time.Second, fault.Invalid},
	} {
		if secret, _, err := s.Add(t.Context(), tt.token, tt.scope, tt.validity); !errors.Is(err, tt.want) || secret != "" {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestUnsafeFiles: whoever can write the file makes the tokens.
func TestUnsafeFiles(t *testing.T) {
	s := newStore(t)
	secret := add(t, s, "ci", all, 0)
	check := func(name string) {
		t.Helper()
		if _, err := s.Verify(secret); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v, want denied", name, err)
		}
		if _, err := Open(s.path); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if err := os.Chmod(s.path, 0o620); err != nil {
		t.Fatal(err)
	}
	check("writable by the group")
	real := s.path + ".real"
	if err := errors.Join(os.Chmod(s.path, 0o600), os.Rename(s.path, real), os.Symlink(real, s.path)); err != nil {
		t.Fatal(err)
	}
	check("a symlink")
	if err := errors.Join(os.Remove(s.path), os.WriteFile(s.path, []byte("{\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	check("malformed")
	if err := errors.Join(os.Remove(s.path), os.Rename(real, s.path)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(secret); err != nil {
		t.Errorf("when all is well again: %v", err)
	}
}

// TestWriters adds from processes and goroutines at once: nothing gets lost.
func TestWriters(t *testing.T) {
	s := newStore(t)
	a := proctest.Start(t, "add", s.path, "a")
	b := proctest.Start(t, "add", s.path, "b")
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if _, _, err := s.Add(t.Context(), fmt.Sprintf("c-%d", i), all, 0); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(a.Wait(), b.Wait()); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(); err != nil || len(list) != 30 {
		t.Errorf("%d tokens, %v, want 30", len(list), err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(s.path), ".token-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

func TestLockTakesContext(t *testing.T) {
	s := newStore(t)
	add(t, s, "ci", all, 0)
	unlock, err := lock(t.Context(), s.path+".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unlock() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Revoke(ctx, "ci"); !errors.Is(err, fault.Canceled) {
		t.Errorf("waiting for the lock: %v, want cancelled", err)
	}
}
