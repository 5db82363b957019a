// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/procsync"
	"github.com/parley-ipc/parley/primitive/shm"
)

// named takes the lock Args[0], made with mode Args[1] if need be, says how
// that went and keeps it. Args[2] is who else may have it, as JSON.
func named(p *proctest.Self) error {
	mode := fs.FileMode(0)
	if _, err := fmt.Sscanf(p.Args[1], "%o", &mode); err != nil {
		return err
	}
	c := procsync.Config{Mode: mode}
	if len(p.Args) > 2 {
		if err := json.Unmarshal([]byte(p.Args[2]), &c.Access); err != nil {
			return err
		}
	}
	m, err := procsync.OpenMutex(bg, p.Args[0], c)
	if err != nil {
		p.Say(fault.KindOf(err).Error())
		return nil
	}
	switch err := m.Lock(bg); {
	case errors.Is(err, procsync.ErrOwnerDied):
		p.Say("died")
		err = m.MarkConsistent()
		if err != nil {
			return err
		}
	case err != nil:
		p.Say(fault.KindOf(err).Error())
		return m.Close()
	default:
		p.Say("held")
	}
	if line, _ := p.Hear(); line == "use" {
		p.Say(fault.KindOf(m.Unlock()).Error())
	}
	return m.Close()
}

func TestNamed(t *testing.T) {
	ctx := soon(t)
	s, err := procsync.OpenSemaphore(ctx, "named", 3, procsync.Config{Participants: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := procsync.OpenSemaphore(ctx, "named", 4, procsync.Config{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("another count: %v, want invalid", err)
	}
	any, err := procsync.OpenSemaphore(ctx, "named", 0, procsync.Config{})
	if err != nil || any.Permits() != 3 {
		t.Fatalf("any count: %v", err)
	}
	defer any.Close()
	if _, err := procsync.OpenBarrier(ctx, "named", 0, procsync.Config{}); !errors.Is(err, fault.NotFound) {
		t.Errorf("another kind of that name, not to be made: %v, want not found", err)
	}
	if err := procsync.Remove(ctx, procsync.KindSemaphore, "named", false); !errors.Is(err, fault.InUse) {
		t.Errorf("Remove while open: %v, want in use", err)
	}
	var more []*procsync.Semaphore
	for range 3 {
		h, err := procsync.OpenSemaphore(ctx, "named", 3, procsync.Config{})
		if err != nil {
			t.Fatal(err)
		}
		more = append(more, h)
	}
	if _, err := procsync.OpenSemaphore(ctx, "named", 3, procsync.Config{}); !errors.Is(err, fault.Exhausted) {
		t.Errorf("a sixth handle of five: %v, want exhausted", err)
	}
	for _, h := range more {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestInspectAndBreak(t *testing.T) {
	ctx := soon(t)
	if _, err := procsync.Inspect(ctx, procsync.KindMutex, "inspected"); !errors.Is(err, fault.NotFound) {
		t.Errorf("Inspect of nothing: %v", err)
	}
	holder := proctest.Start(t, "named", "inspected", "600")
	holder.Expect("held")
	st, err := procsync.Inspect(ctx, procsync.KindMutex, "inspected")
	if err != nil || len(st.Participants) != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	if p := st.Participants[0]; p.PID != holder.Pid() || !p.Alive || p.Holds != 1 || p.Token != 1 || p.Since <= 0 {
		t.Errorf("the holder is %+v", p)
	}
	if _, err := procsync.Break(ctx, procsync.KindMutex, "inspected", false); !errors.Is(err, fault.InUse) {
		t.Errorf("Break of one that lives: %v, want in use", err)
	}
	waiter := proctest.Start(t, "named", "inspected", "600")
	if n, err := procsync.Break(ctx, procsync.KindMutex, "inspected", true); n != 1 || err != nil {
		t.Errorf("Break by force: %d, %v", n, err)
	}
	waiter.Expect("died")
	waiter.Done()
	holder.Done()
	for _, p := range []*proctest.Process{waiter, holder} {
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
	}
	dead := proctest.Start(t, "named", "inspected", "600")
	dead.Hear()
	dead.Kill()
	if st, err := procsync.Inspect(ctx, procsync.KindMutex, "inspected"); err != nil || st.Participants[0].Alive {
		t.Errorf("a dead one: %+v, %v", st, err)
	}
	if n, err := procsync.Break(ctx, procsync.KindMutex, "inspected", false); n != 1 || err != nil {
		t.Errorf("Break of the dead: %d, %v", n, err)
	}
	if err := procsync.Remove(ctx, procsync.KindMutex, "inspected", false); err != nil {
		t.Error(err)
	}
}

const (
	owner    uint32 = 54331 // uids that nothing else here uses
	stranger uint32 = 54332

	privateEnv = "PARLEY_TEST_PRIVATE_RUN"
)

// TestOtherUsers: below /run/parley, the mode of a lock says who may have it.
func TestOtherUsers(t *testing.T) {
	if !privateRun(t) {
		return
	}
	as := func(uid uint32, args ...string) *proctest.Process {
		return asGroup(t, uid, uid, args...)
	}
	for _, c := range []struct{ name, mode, want string }{{"closed", "600", "denied"}, {"open", "666", "died"}} {
		o := as(owner, c.name, c.mode)
		o.Expect("held")
		s := as(stranger, fmt.Sprintf("%d@%s", owner, c.name), "0")
		if c.want == "died" {
			// It is to wait: the owner's death is told across users.
			st, err := procsync.Inspect(context.Background(), procsync.KindMutex, fmt.Sprintf("%d@%s", owner, c.name))
			if err != nil || len(st.Participants) == 0 || st.Participants[0].UID != int(owner) {
				t.Errorf("root sees %+v, %v", st, err)
			}
			o.Kill()
		}
		s.Expect(c.want)
	}
}

// privateRun gives the test a /run/parley of its own: true is that this is the
// process which has it, false that such a one has run the test.
func privateRun(t *testing.T) bool {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it mounts file systems and starts processes of other uids")
	}
	if os.Getenv(privateEnv) == "" {
		inPrivateRun(t)
		return false
	}
	fatal(t, syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"))
	fatal(t, errors.Join(os.Mkdir("/run/parley", 0o755), os.Chmod("/run/parley", 0o1777|os.ModeSticky)))
	return true
}

func asGroup(t *testing.T, uid, gid uint32, args ...string) *proctest.Process {
	t.Helper()
	return proctest.StartWith(t, proctest.Options{Role: "named", Args: args, UID: &uid, GID: &gid, Dir: "/"})
}

// TestAccess: who else may have a lock is what its owner's Access says, at the
// owner's last opening of it, and nobody else.
func TestAccess(t *testing.T) {
	if !privateRun(t) {
		return
	}
	const member, club = 54333, 54340
	name := fmt.Sprintf("%d@shared", owner)
	for i, c := range []struct { // whoever gets in holds it to its end, so the next one is told of a death
		access string
		in     map[[2]uint32]bool // by uid and gid
	}{
		{`{"uids":[54332]}`, map[[2]uint32]bool{{stranger, stranger}: true, {member, club}: false}},
		{`{"gids":[54340]}`, map[[2]uint32]bool{{stranger, stranger}: false, {member, club}: true}},
		{`{"gids":[54340],"not_uids":[54333]}`, map[[2]uint32]bool{{stranger, club}: true, {member, club}: false}},
		{`{"everybody":true,"not_uids":[54332]}`, map[[2]uint32]bool{{stranger, stranger}: false, {member, member}: true, {member, owner}: true}},
		{`null`, map[[2]uint32]bool{{stranger, stranger}: false, {member, member}: true}}, // as it was
		{`{}`, map[[2]uint32]bool{{stranger, stranger}: false, {member, member}: false}},
	} {
		o := asGroup(t, owner, owner, "shared", "0", c.access)
		if got := o.Hear(); got != "held" && !(i > 0 && got == "died") {
			t.Fatalf("%s: the owner heard %q", c.access, got)
		}
		o.Kill()
		for who, in := range c.in {
			s := asGroup(t, who[0], who[1], name, "0")
			want := "denied"
			if in {
				want = "died"
			}
			s.Expect(want)
			s.Done()
			if err := s.Wait(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := procsync.OpenMutex(bg, name, procsync.Config{Access: &shm.Access{Everybody: true}}); !errors.Is(err, fault.Invalid) {
		t.Errorf("another than the owner lets others in: %v, want invalid", err)
	}

	// Whoever is let in can spoil the lock, and not the program that uses it.
	o := asGroup(t, owner, owner, "spoilt", "0", `{"uids":[54332]}`)
	o.Expect("held")
	s := asGroup(t, stranger, stranger, fmt.Sprintf("%d@spoilt", owner), "0")
	until(t, func() bool {
		st, err := procsync.Inspect(bg, procsync.KindMutex, fmt.Sprintf("%d@spoilt", owner))
		if err != nil || st.Access == nil || st.Access.String() != "uid:54332" {
			t.Fatalf("Inspect: %+v, %v", st, err)
		}
		return anyWaits(st.Participants)
	})
	fatal(t, os.Truncate("/run/parley/"+fmt.Sprint(owner)+"/spoilt.mutex.seg", 0))
	o.Say("use")
	o.Expect("protocol error")
	s.Expect("protocol error")
	for _, p := range []*proctest.Process{o, s} {
		p.Done()
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// TestAccessNeedsAccessLists: a file system without them says what to do.
func TestAccessNeedsAccessLists(t *testing.T) {
	if !privateRun(t) {
		return
	}
	fatal(t, syscall.Mount("ramfs", "/run/parley", "ramfs", 0, "mode=1777"))
	_, err := procsync.OpenMutex(bg, "plain", procsync.Config{Access: &shm.Access{Everybody: true}})
	if !errors.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "keeps no access lists") {
		t.Errorf("%v, want unsupported", err)
	}
	m, err := procsync.OpenMutex(bg, "plain", procsync.Config{Access: &shm.Access{}})
	fatal(t, err)
	fatal(t, m.Close())
}

// inPrivateRun runs the test again in a mount namespace of its own.
func inPrivateRun(t *testing.T) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("needs namespaces, which this machine does not let us make: %v: %s", err, out)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), privateEnv+"=1", "PARLEY_RUNTIME_DIR=/run/parley/0", "TMPDIR=/tmp")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}
