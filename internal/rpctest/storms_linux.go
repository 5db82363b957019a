// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/transport/transporttest"
)

// stormTime bounds one storm: what hangs fails, and says so.
const stormTime = 150 * time.Second

// number is that of the environment, else def.
func number(name string, def int) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return cmp.Or(n, def)
}

// seed is of this run; PARLEY_SEED repeats one.
func seed(t testing.TB) uint64 {
	t.Helper()
	n := uint64(number("PARLEY_SEED", 0)) //nolint:gosec // any bits will do
	if n == 0 {
		n = rand.Uint64N(1 << 31) //nolint:gosec // no secret
	}
	t.Logf("PARLEY_SEED=%d", n)
	return n
}

// Storms rage over b with GOMAXPROCS of 1, 2 and 8, and leave nothing behind.
// PARLEY_CALLS says how many calls there are in all.
func Storms(t *testing.T, b Backend) {
	t.Helper()
	start := seed(t)
	calls := number("PARLEY_CALLS", 900) / 3
	for i, procs := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("GOMAXPROCS=%d", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			round(t, b, Storm{Calls: 50, Seed: 1}) // what is made once is there
			compare := transporttest.Holding()
			round(t, b, Storm{Calls: calls, Seed: start + uint64(i)}) //nolint:gosec // 0, 1, 2
			compare(t)
		})
	}
}

func round(t *testing.T, b Backend, s Storm) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stormTime+time.Duration(s.Calls)*10*time.Millisecond)
	defer cancel()
	server := b.Serve(t, ServerOptions{}, RegisterStorm)
	defer server.Stop()
	cc := server.Dial(t, ClientOptions{})
	defer func() { _ = cc.Close() }()
	tally, err := s.Rage(ctx, cc)
	t.Logf("%v", tally)
	if err != nil {
		t.Errorf("seed %d: %v", s.Seed, err)
	}
	if ctx.Err() != nil {
		t.Error("the storm did not end in time")
	}
}

// Place is where a server and a client in different processes meet.
type Place struct {
	// Listen starts a server of a storm; it is called in the child, too.
	Listen func(address string) (stop func(), err error)
	Dial   func(address string) (Client, error)
}

// StormRoles are what children do: serve a storm until they are killed, or
// rage without end.
func (p Place) StormRoles() map[string]proctest.Role {
	return map[string]proctest.Role{
		"storm-server": func(self *proctest.Self) error {
			stop, err := p.Listen(self.Args[0])
			if err != nil {
				return err
			}
			defer stop()
			self.Say("ready")
			_, _ = self.Hear() // until our parent has gone
			return nil
		},
		"storm-client": func(self *proctest.Self) error {
			cc, err := p.Dial(self.Args[0])
			if err != nil {
				return err
			}
			defer func() { _ = cc.Close() }()
			n, err := strconv.ParseUint(self.Args[1], 10, 64)
			if err != nil {
				return err
			}
			first := Storm{Calls: 20, Callers: 4, Seed: n}
			if _, err := first.Rage(context.Background(), cc); err != nil {
				return err
			}
			self.Say("raging")
			_, err = Storm{Calls: 1 << 30, Callers: 16, Seed: n}.Rage(context.Background(), cc)
			return err
		},
	}
}

// KilledServers rages against a server in another process that is killed in
// the middle, and started again. Every call ends; nothing stays behind.
func (p Place) KilledServers(t *testing.T, address string) {
	t.Helper()
	kills(t, 1, func(t *testing.T, seed uint64, after time.Duration) { p.killServer(t, address, seed, after) })
}

// kills kills again and again, after random times, and wants nothing to stay
// behind. PARLEY_KILLS says how often.
func kills(t *testing.T, stream uint64, kill func(t *testing.T, seed uint64, after time.Duration)) {
	t.Helper()
	start := seed(t)
	random := rand.New(rand.NewPCG(start, stream))                             //nolint:gosec // repeatable
	t.Run("first", func(t *testing.T) { kill(t, start, 10*time.Millisecond) }) // what is made once is there
	compare := transporttest.Holding()
	for i := range number("PARLEY_KILLS", 4) {
		after := time.Duration(random.IntN(60)) * time.Millisecond
		t.Run(strconv.Itoa(i), func(t *testing.T) { kill(t, start+uint64(i), after) }) //nolint:gosec // small
	}
	compare(t)
}

func (p Place) killServer(t *testing.T, address string, seed uint64, after time.Duration) {
	t.Helper()
	server := proctest.Start(t, "storm-server", address)
	server.Expect("ready")
	cc, err := p.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), stormTime)
	defer cancel()
	if _, err := (Storm{Calls: 20, Callers: 4, Seed: seed}).Rage(ctx, cc); err != nil {
		t.Fatal(err)
	}
	killed := make(chan struct{})
	timer := time.AfterFunc(after, func() { defer close(killed); server.Kill() })
	defer timer.Stop()
	tally, err := p.untilKilled(ctx, cc, seed, killed)
	<-killed
	t.Logf("killed after %v: %v", after, tally)
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	if ctx.Err() != nil {
		t.Error("a call did not end")
	}
}

// untilKilled rages until the server has been killed, and a little beyond.
func (p Place) untilKilled(ctx context.Context, cc grpc.ClientConnInterface, seed uint64, killed <-chan struct{}) (all Tally, err error) {
	for more := true; more && err == nil && ctx.Err() == nil; {
		select {
		case <-killed:
			more = false // once more, with nobody there
		default:
		}
		var tally Tally
		tally, err = Storm{Calls: 100, Callers: 16, Seed: seed, Deaths: true}.Rage(ctx, cc)
		all.Answered += tally.Answered
		all.Cancelled += tally.Cancelled
		all.Died += tally.Died
		seed++
	}
	return all, err
}

// KilledClients serves clients in other processes that are killed in the
// middle of their calls, while one of our own is served all along.
func (p Place) KilledClients(t *testing.T, address string) {
	t.Helper()
	stop, err := p.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	kills(t, 2, func(t *testing.T, seed uint64, after time.Duration) { p.killClient(t, address, seed, after) })
}

func (p Place) killClient(t *testing.T, address string, seed uint64, after time.Duration) {
	t.Helper()
	client := proctest.Start(t, "storm-client", address, strconv.FormatUint(seed, 10))
	client.Expect("raging")
	cc, err := p.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), stormTime)
	defer cancel()
	killed := make(chan struct{})
	timer := time.AfterFunc(after, func() { defer close(killed); client.Kill() })
	defer timer.Stop()
	tally, err := Storm{Calls: 100, Callers: 8, Seed: seed}.Rage(ctx, cc)
	<-killed
	t.Logf("the other was killed after %v: %v", after, tally)
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	if ctx.Err() != nil {
		t.Error("a call did not end")
	}
}

// Throttled rages against a server that has half a processor.
func (p Place) Throttled(t *testing.T, address string) {
	t.Helper()
	server := proctest.StartWith(t, proctest.Options{
		Role: "storm-server", Args: []string{address}, Prefix: proctest.CPUGroup(t, 0.5).Prefix(),
	})
	server.Expect("ready")
	cc, err := p.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), stormTime)
	defer cancel()
	tally, err := Storm{Calls: number("PARLEY_CALLS", 300), Seed: seed(t)}.Rage(ctx, cc)
	t.Logf("%v", tally)
	if err != nil {
		t.Error(err)
	}
	if ctx.Err() != nil {
		t.Error("a call did not end")
	}
}
