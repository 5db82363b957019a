// SPDX-License-Identifier: Apache-2.0

package transporttest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/endpoint"
	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport"
	"github.com/parley-ipc/parley/transport/inproc"
	"github.com/parley-ipc/parley/transport/transporttest"
)

const flawEnv = "TRANSPORTTEST_FLAW"

func TestMain(m *testing.M) { proctest.Main(m, transporttest.Roles(mortal())) }

// sound is inproc, as far as this package is concerned without a flaw.
func sound() transporttest.Backend {
	var network inproc.Network
	var names atomic.Int64
	self := func(transporttest.Party) auth.Identity { return auth.Self() }
	return transporttest.Backend{
		Name:    "inproc",
		Address: func(testing.TB) string { return fmt.Sprintf("inproc://name%d", names.Add(1)) },
		Listen: func(ctx context.Context, addr string, cfg transport.ListenConfig) (transport.Listener, error) {
			a, err := endpoint.Parse(addr)
			if err != nil {
				return nil, err
			}
			return network.Listen(ctx, a, cfg)
		},
		Dial: func(ctx context.Context, addr string, cfg transport.DialConfig) (transport.Conn, error) {
			a, err := endpoint.Parse(addr)
			if err != nil {
				return nil, err
			}
			return network.Dial(ctx, a, cfg)
		},
		DialerSees:   self,
		ListenerSees: self,
		Files:        true,
		OneProcess:   true,
	}
}

// TestFinds runs, for each flaw, the check that must find it, in a process of
// its own, and wants that check to fail with the words that tell of the flaw.
func TestFinds(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flaws {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, exe, "-test.run=^TestFlawed$/^"+f.check+"$", "-test.timeout=50s")
			cmd.Env = append(os.Environ(), flawEnv+"="+f.name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the check %s passed", f.check)
			}
			if ok, _ := regexp.Match(f.says, out); !ok || !strings.Contains(string(out), "--- FAIL: TestFlawed/"+f.check) {
				t.Errorf("the check %s did not say %q:\n%s", f.check, f.says, out)
			}
		})
	}
}

// TestFlawed runs the suite on a backend with the flaw that the environment
// names; it is TestFinds that starts it.
func TestFlawed(t *testing.T) {
	name, ok := os.LookupEnv(flawEnv)
	if !ok {
		t.Skip("it fails on purpose, in a child of TestFinds")
	}
	transporttest.SetLimit(time.Second)
	for _, f := range flaws {
		if f.name == name {
			b := f.of()
			f.spoil(&b)
			transporttest.Run(t, b)
			return
		}
	}
	t.Skipf("no flaw %q", name)
}
