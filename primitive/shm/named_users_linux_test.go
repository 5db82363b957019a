// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/shm"
)

const stranger = 54322 // a uid that nothing else here uses

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts processes of other uids")
	}
}

// shared stands for /run/parley.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pub") //nolint:usetesting // only we can enter the one that t.TempDir makes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	return dir
}

func as(t *testing.T, uid uint32, role string, args ...string) *proctest.Process {
	t.Helper()
	return proctest.StartWith(t, proctest.Options{Role: role, Args: args, UID: &uid, GID: &uid, Dir: "/"})
}

// hostRole makes segments of several modes: BASE NAME MODE, …
func hostRole(p *proctest.Self) error {
	in := shm.In(p.Args[0])
	for i := 1; i+1 < len(p.Args); i += 2 {
		mode, err := strconv.ParseUint(p.Args[i+1], 8, 32)
		if err != nil {
			return err
		}
		n, err := in.Open(context.Background(), p.Args[i], shm.NamedConfig{Size: 8, Mode: fs.FileMode(mode)})
		if err != nil {
			return err
		}
		defer func() { _ = n.Close() }()
		copy(n.Bytes(), "the host")
	}
	p.Say("ready")
	_, _ = p.Hear()
	return nil
}

// visitRole opens another user's segment and says what it finds: BASE NAME rw.
func visitRole(p *proctest.Self) error {
	n, err := shm.In(p.Args[0]).Open(context.Background(), p.Args[1], shm.NamedConfig{Size: 8, ReadOnly: p.Args[2] == "r"})
	if err != nil {
		p.Say(fault.KindOf(err).Error())
		return nil
	}
	p.Say(string(n.Bytes()))
	if p.Args[2] == "w" {
		copy(n.Bytes(), "a visit ")
	}
	p.Say("done")
	return n.Close()
}

func TestNamedOfAnotherUser(t *testing.T) {
	needRoot(t)
	base := shared(t)
	host := as(t, stranger, "host", base, "closed", "600", "seen", "644", "open", "666")
	host.Expect("ready")
	me := strconv.Itoa(stranger) + "@"
	for _, c := range []struct{ name, how, want string }{
		{"closed", "r", "denied"}, {"closed", "w", "denied"}, {"seen", "w", "denied"}, {"seen", "r", "the host"},
		{"open", "w", "the host"}, {"open", "r", "a visit "}, {"absent", "w", "not found"},
	} {
		p := as(t, stranger+1, "visit", base, me+c.name, c.how)
		if got := p.Hear(); got != c.want {
			t.Errorf("%s for %s: %q, want %q", c.name, c.how, got, c.want)
		}
	}
	if st, err := os.Stat(filepath.Join(base, strconv.Itoa(stranger), "seen.segment.seg")); err != nil || st.Mode() != 0o644 {
		t.Errorf("mode: %v, %v", st.Mode(), err)
	}
	infos, err := shm.In(base).List(t.Context(), shm.NamedOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, i := range infos {
		found = found || i.Name == me+"open" && i.UID == stranger && i.Used && i.Err == nil && i.PID == host.Pid()
	}
	if !found {
		t.Errorf("root sees %+v", infos)
	}
}

// A directory of somebody else's in the user's place is not used, nor is a
// link to one.
func TestNamedForeignDirectory(t *testing.T) {
	needRoot(t)
	base := shared(t)
	dir := filepath.Join(base, strconv.Itoa(stranger))
	if err := os.Mkdir(dir, 0o711); err != nil { // root's
		t.Fatal(err)
	}
	if got := as(t, stranger, "visit", base, "mine", "w").Hear(); got != "denied" {
		t.Errorf("made in root's directory: %q", got)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), dir); err != nil {
		t.Fatal(err)
	}
	if got := as(t, stranger, "visit", base, "mine", "w").Hear(); got != "denied" {
		t.Errorf("made through a link: %q", got)
	}
	if _, err := shm.In(base).Open(t.Context(), strconv.Itoa(stranger)+"@mine", shm.NamedConfig{}); !errors.Is(err, fault.Denied) {
		t.Errorf("root: %v", err)
	}
}
