// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/parley-ipc/parley/internal/cgroup"
	"github.com/parley-ipc/parley/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.Main(m, map[string]proctest.Role{"room": roomRole})
}

// roomRole does what it hears and says how many may spin.
func roomRole(p *proctest.Self) error {
	NewPacer(Auto)
	for {
		p.Sayf("spinners %t", room.max.Load() > 0)
		order, err := p.Hear()
		if err != nil {
			return nil //nolint:nilerr // the test is over
		}
		switch order {
		case "look":
			room.look(time.Now())
		case "look later":
			room.look(time.Now().Add(pauseFor + time.Second))
		case "burn":
			if err := burn(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("heard %q", order)
		}
	}
}

// burn computes until the kernel has stopped us for want of quota.
func burn() error {
	was, limit := cgroup.Throttled(), time.Now().Add(20*time.Second)
	for cgroup.Throttled() == was {
		if time.Now().After(limit) {
			return errors.New("never throttled")
		}
		for start := time.Now(); time.Since(start) < 10*time.Millisecond; {
			relax(1)
		}
	}
	return nil
}

// roomy skips where nobody may spin even without a group of ours.
func roomy(t *testing.T) {
	t.Helper()
	if quota, limited := cgroup.CPUQuota(); affinity() < 2 || limited && quota < 2 {
		t.Skip("needs two processors and a quota for them")
	}
}

// Half a processor leaves no room to spin, two do, and two that have been
// throttled do only after a while.
func TestLiveQuota(t *testing.T) {
	roomy(t)
	g := proctest.CPUGroup(t, 0.5)
	p := proctest.StartWith(t, proctest.Options{Role: "room", Prefix: g.Prefix()})
	p.Expect("spinners false")
	g.SetCPUs(2)
	p.Say("look")
	first := p.Hear() // true, unless the child was throttled while it started
	if first != "spinners true" {
		p.Say("look later")
		p.Expect("spinners true")
	}
	g.SetCPUs(0.1)
	p.Say("burn")
	p.Hear()
	g.SetCPUs(2)
	p.Say("look")
	p.Expect("spinners false")
	p.Say("look later")
	p.Expect("spinners true")
	p.Done()
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

// Where nobody may spin, whoever would have looks at the machine again, or
// nobody ever would.
func TestRoomComesBack(t *testing.T) {
	roomy(t)
	allow(t, 0)
	room.next.Store(0)
	p := NewPacer(Auto)
	for end := time.Now().Add(10 * time.Second); !p.Spin(func() bool { return true }); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("no spinning, though the machine has room again")
		}
	}
}
