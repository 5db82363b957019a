// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"testing"

	"github.com/parley-ipc/parley/auth"
)

// counting counts how often it is asked, and knows one user and one group.
type counting map[string]int

func (c counting) UserID(name string) (uint32, error) {
	c["user:"+name]++
	if name != "known" {
		return 0, errors.New("nobody of that name")
	}
	return 1000, nil
}

func (c counting) GroupID(name string) (uint32, error) {
	c["group:"+name]++
	return 100, nil
}

func TestEachNameIsLookedUpOnceALoad(t *testing.T) {
	asked := counting{}
	rule := Rule{Who: []string{"user:known", "group:known", "user:unknown"}, May: []auth.Action{auth.Connect}, On: []string{"*"}}
	for load := 1; load <= 2; load++ { // a reload asks anew: a user may have come
		if _, err := New([]Rule{rule, rule, rule}, Options{Lookup: asked}); err == nil {
			t.Fatal("an unknown user is no mistake")
		}
		for _, name := range []string{"user:known", "group:known", "user:unknown"} {
			if asked[name] != load {
				t.Errorf("after %d loads %s was looked up %d times", load, name, asked[name])
			}
		}
	}
}
