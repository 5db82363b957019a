// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-ipc/parley/fault"
)

func TestIdentityNames(t *testing.T) {
	cases := []struct {
		id        Identity
		name      string
		anonymous bool
	}{
		{Identity{Method: Kernel, HasUID: true, UID: 1000}, "uid:1000", false},
		{Identity{Method: Kernel, HasUID: true}, "uid:0", false},
		{Identity{Method: TLS, Name: "spiffe://corp/a"}, "spiffe://corp/a", false},
		{Identity{Method: TLS, Name: "dns:a.example"}, "dns:a.example", false},
		{Identity{Method: Token, Name: "token:ci"}, "token:ci", false},
		{Identity{Method: Kernel, Unmapped: true}, "unmapped", false},
		{Identity{}, "anonymous", true},
	}
	for _, c := range cases {
		if got := c.id.String(); got != c.name {
			t.Errorf("%+v is called %q, want %q", c.id, got, c.name)
		}
		if got := c.id.Anonymous(); got != c.anonymous {
			t.Errorf("%s: Anonymous() = %v", c.name, got)
		}
		if c.id.Unmapped {
			continue
		}
		back, err := Parse(c.name)
		if err != nil || back.String() != c.name {
			t.Errorf("Parse(%q) = %v, %v", c.name, back, err)
		}
	}
	for _, bad := range []string{"", "uid:", "uid:-1", "uid:4294967296", "1000", "unmapped", "gid:1", "spiffe:"} {
		if id, err := Parse(bad); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", bad, id)
		}
	}
}

func TestOwnerOnlyAdmitsOwnerAndRoot(t *testing.T) {
	me := uint32(os.Geteuid())
	cases := []struct {
		id Identity
		ok bool
	}{
		{Self(), true},
		{Identity{Method: Kernel, HasUID: true, UID: 0}, true},
		{Identity{Method: Kernel, HasUID: true, UID: me + 1}, me+1 == 0},
		{Identity{Method: Kernel, UID: me}, false},                                        // uid not known
		{Identity{Method: Kernel, Unmapped: true, UID: me}, false},                        // no such user here
		{Identity{Method: TLS, Name: "spiffe://corp/root", HasUID: true, UID: me}, false}, // a name is not the owner
		{Identity{}, false},
	}
	for _, c := range cases {
		err := OwnerOnly{}.Authorize(context.Background(), c.id, Connect, "endpoint:shm://a")
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v, want admitted %v", c.id, err, c.ok)
		}
		if err != nil && !errors.Is(err, fault.Denied) {
			t.Errorf("%+v: %v is not fault.Denied", c.id, err)
		}
	}
}

func TestDenialIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		deny := AuthorizerFunc(func(context.Context, Identity, Action, string) error {
			return fmt.Errorf("%w by rule 3", fault.Denied)
		})
		a := LogDenials(deny, slog.New(slog.NewTextHandler(&log, nil)))
		ask := func(uid uint32, resource string) {
			if a.Authorize(t.Context(), Identity{Method: Kernel, HasUID: true, UID: uid}, Connect, resource) == nil {
				t.Error("admitted")
			}
		}
		lines := func() int { return strings.Count(log.String(), "\n") }
		for range 10 {
			ask(1000, "endpoint:shm://a")
		}
		if lines() != 1 || !strings.Contains(log.String(), "rule 3") {
			t.Errorf("ten denials of one peer logged %d lines: %s", lines(), log.String())
		}
		ask(1001, "endpoint:shm://a")
		ask(1000, "endpoint:shm://b")
		if lines() != 3 {
			t.Errorf("another peer and another resource made it %d lines, want 3", lines())
		}
		time.Sleep(time.Minute) // synctest's clock, not ours
		ask(1000, "endpoint:shm://a")
		if lines() != 4 {
			t.Errorf("a minute later there are %d lines, want 4", lines())
		}
		for i := range uint32(3 * maxDenials) {
			ask(i, "endpoint:shm://flood")
		}
		if n := len(a.(*denialLog).last); n > maxDenials {
			t.Errorf("a flood of peers is remembered in %d entries, at most %d", n, maxDenials)
		}
	})
}

func Example() {
	id := Identity{Method: Kernel, HasUID: true, UID: 4242, GID: 100}
	fmt.Println(id, id.Method)
	err := OwnerOnly{}.Authorize(context.Background(), id, Connect, "endpoint:shm://orders")
	fmt.Println(errors.Is(err, fault.Denied))
	// Output:
	// uid:4242 kernel
	// true
}
