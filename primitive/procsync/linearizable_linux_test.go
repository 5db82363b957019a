// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/primitive/procsync"
)

// history is one run: processes that work on an object, some of which are
// killed or stopped, and what they wrote down.
type history struct {
	t       *testing.T
	rng     *rand.Rand
	o       *object
	kind    string
	steps   int
	clients []*client
	deaths  []porcupine.Operation
}

type client struct {
	p    *proctest.Process
	log  string
	dead bool
}

func (h *history) start() {
	h.t.Helper()
	n := len(h.clients)
	c := &client{log: filepath.Join(filepath.Dir(h.o.path), strconv.Itoa(n))}
	c.p = proctest.Start(h.t, "work", h.o.path, c.log, strconv.Itoa(int(h.rng.Int32())), h.kind, strconv.Itoa(h.steps))
	c.p.Expect("go")
	h.clients = append(h.clients, c)
}

func (h *history) kill(i int) {
	c := h.clients[i]
	h.deaths = append(h.deaths, porcupine.Operation{
		ClientId: i, Input: step{i, "die", 0}, Call: now(), Output: outcome{result: "ok"}, Return: math.MaxInt64,
	})
	c.dead = true
	c.p.Kill()
}

// operations is what client i wrote down.
func (h *history) operations(i int) []porcupine.Operation {
	h.t.Helper()
	f, err := os.Open(h.clients[i].log)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	var ops []porcupine.Operation
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 5 && words[0] == "C":
			ops = append(ops, porcupine.Operation{
				ClientId: i, Input: step{i, words[2], number(words[3])}, Call: int64(number(words[4])),
				Output: outcome{result: "?"}, Return: math.MaxInt64,
			})
		case len(words) == 6 && words[0] == "R":
			last := &ops[len(ops)-1]
			token, err := strconv.ParseUint(words[3], 10, 64)
			if err != nil {
				h.t.Fatal(err)
			}
			last.Output = outcome{words[2], token}
			last.Call, last.Return = int64(number(words[4])), int64(number(words[5]))
		}
	}
	return ops
}

// check looks for an order in which the specification allows all of it.
func (h *history) check(limit int) porcupine.CheckResult {
	h.t.Helper()
	ops := h.deaths
	for i := range h.clients {
		ops = append(ops, h.operations(i)...)
	}
	for i, op := range ops {
		switch s := op.Input.(step); {
		case s.op == "arrive" && op.Output.(outcome).result != "ended":
			op.Input = step{s.client, "pass", 0}
			ops = append(ops, op)
		case s.op == "cwait":
			ops[i].Input = step{s.client, "enter", 0}
			op.Input = step{s.client, "woken", 0}
			ops = append(ops, op)
		}
	}
	result := porcupine.CheckOperationsTimeout(specification(limit), ops, time.Minute)
	if result == porcupine.Illegal {
		h.t.Errorf("%s: a history of %d operations that no order explains", h.kind, len(ops))
		for _, op := range ops {
			h.t.Logf("%d…%d %v → %v", op.Call, op.Return, op.Input, op.Output)
		}
	}
	return result
}

// play runs the processes, and does them harm.
func (h *history) play(procs, kills int) {
	h.t.Helper()
	for range procs {
		h.start()
	}
	for _, c := range h.clients {
		c.p.Say("begin")
	}
	for range kills {
		<-time.After(time.Duration(h.rng.IntN(1500)) * time.Microsecond)
		i := h.rng.IntN(len(h.clients))
		if h.clients[i].dead {
			continue
		}
		h.clients[i].p.Signal(syscall.SIGSTOP)
		if h.rng.IntN(2) == 0 {
			<-time.After(time.Duration(h.rng.IntN(1500)) * time.Microsecond)
			h.clients[i].p.Signal(syscall.SIGCONT)
			continue
		}
		h.kill(i)
		h.start()
		h.clients[len(h.clients)-1].p.Say("begin")
	}
	for _, c := range h.clients {
		if !c.dead {
			c.p.Expect("done") // nobody hangs
		}
	}
	for _, c := range h.clients {
		if !c.dead {
			c.p.Say("end")
		}
	}
	for _, c := range h.clients {
		if c.dead {
			continue
		}
		if err := c.p.Wait(); err != nil {
			h.t.Error(err)
		}
	}
}

// TestKillLinearizable: what processes see that work on one object, while
// others are killed and stopped, is what the specification says.
func TestKillLinearizable(t *testing.T) {
	for _, c := range []struct {
		shape        procsync.Shape
		procs, limit int
	}{
		{mutexShape(), 4, 0},
		{procsync.Shape{Kind: procsync.KindRWMutex}, 4, 0},
		{procsync.Shape{Kind: procsync.KindSemaphore, Count: 3}, 4, 3},
		{procsync.Shape{Kind: procsync.KindCond}, 4, 0},
		{procsync.Shape{Kind: procsync.KindEvent}, 4, 0},
		{procsync.Shape{Kind: procsync.KindBarrier, Count: 3}, 4, 3},
	} {
		t.Run(c.shape.Kind.String(), func(t *testing.T) {
			rng, kills := seedAndKills(t, 15)
			const perHistory = 5
			decided := 0
			for range (kills + perHistory - 1) / perHistory {
				h := &history{t: t, rng: rng, o: create(t, c.shape), kind: c.shape.Kind.String(), steps: 20}
				if c.shape.Kind == procsync.KindCond {
					fatal(t, os.WriteFile(h.o.path+".mutex", []byte(create(t, mutexShape()).path), 0o600))
				}
				h.play(c.procs, perHistory)
				if h.check(c.limit) != porcupine.Unknown {
					decided++
				}
				for _, c := range h.clients {
					c.p.Kill()
				}
				if t.Failed() {
					return
				}
			}
			if decided == 0 {
				t.Error("no history could be decided")
			}
		})
	}
}

// TestSpecificationCanFail: the specification refuses what must not be.
func TestSpecificationCanFail(t *testing.T) {
	op := func(client int, name string, result string, token uint64, call int64) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: step{client, name, 1}, Output: outcome{result, token}, Call: call, Return: call + 1}
	}
	for name, ops := range map[string][]porcupine.Operation{
		"two holders":        {op(0, "lock", "ok", 1, 0), op(1, "lock", "ok", 2, 2)},
		"a token again":      {op(0, "lock", "ok", 2, 0), op(0, "unlock", "ok", 0, 2), op(1, "lock", "ok", 2, 4)},
		"death without word": {op(0, "lock", "ok", 1, 0), op(0, "die", "ok", 0, 2), op(1, "lock", "ok", 2, 4)},
		"word without death": {op(0, "lock", "died", 1, 0)},
		"too many permits":   {op(0, "acquire", "ok", 1, 0), op(1, "acquire", "ok", 2, 2), op(2, "acquire", "ok", 3, 4)},
		"reads while writes": {op(0, "lock", "ok", 1, 0), op(1, "rlock", "ok", 2, 2)},
		"waited for nothing": {op(0, "wait", "ok", 0, 0)},
		"passed alone":       {op(0, "arrive", "ok", 0, 0), op(0, "pass", "ok", 0, 2)},
		"woken by nobody":    {op(0, "lock", "ok", 0, 0), op(0, "enter", "ok", 0, 2), op(0, "woken", "ok", 0, 4)},
		"signal came before": {op(0, "lock", "ok", 0, 0), op(1, "signal", "ok", 0, 2), op(0, "enter", "ok", 0, 4), op(0, "woken", "ok", 0, 6)},
		"woken beside":       {op(0, "lock", "ok", 0, 0), op(0, "enter", "ok", 0, 2), op(1, "lock", "ok", 0, 4), op(1, "signal", "ok", 0, 6), op(0, "woken", "ok", 0, 8)},
		"waits without":      {op(0, "enter", "ok", 0, 0)},
	} {
		if porcupine.CheckOperations(specification(2), ops) {
			t.Errorf("%s: the specification allows it: %s", name, fmt.Sprint(ops))
		}
	}
}
