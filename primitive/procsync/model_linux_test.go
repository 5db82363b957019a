// SPDX-License-Identifier: Apache-2.0

package procsync_test

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// maxClients is how many processes a history may have, the dead included.
const maxClients = 32

// world is the specification of all objects: what each client holds, and what
// anybody can see.
type world struct {
	holds   [maxClients]int8 // permits, read locks, or an arrival
	passed  [maxClients]bool // its round of the barrier is complete
	dead    [maxClients]bool
	waits   [maxClients]uint8 // for the condition
	writer  int8              // holds the mutex or writes; -1: nobody
	suspect bool
	set     bool
	token   uint64
	shared  bool // token is a reader's
}

// What a client that waits for a condition is: it may go on once somebody has
// signalled since it came.
const (
	waitsNot = iota
	waitsStill
	waitsNoMore
)

// step is one operation of a client. limit is the number of permits or parties.
type step struct {
	client int
	op     string
	arg    int
}

// outcome is what the client saw: "ok", "died" (with the lock), "no" (not
// acquired), "ended" (its context did), or "?", when it died before it could tell.
type outcome struct {
	result string
	token  uint64
}

func specification(limit int) porcupine.Model {
	nm := porcupine.NondeterministicModel{
		Init: func() []any { return []any{world{writer: -1}} },
		Step: func(state, input, output any) []any {
			return after(state.(world), input.(step), output.(outcome), limit)
		},
		Equal:             func(a, b any) bool { return a == b },
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%v → %v", in, out) },
	}
	return nm.ToModel()
}

// after is every world that may follow: none, if the outcome cannot be.
func after(w world, s step, out outcome, limit int) []any {
	if out.result == "?" {
		next := []any{w} // it never happened
		if !w.dead[s.client] {
			for _, result := range []string{"ok", "died"} {
				if n, ok := happen(w, s, outcome{result: result}, limit); ok {
					next = append(next, n)
				}
			}
		}
		return next
	}
	if n, ok := happen(w, s, out, limit); ok {
		return []any{n}
	}
	return nil
}

func happen(w world, s step, out outcome, limit int) (world, bool) {
	if out.result == "ended" && s.op != "enter" && s.op != "woken" {
		return w, true
	}
	took := out.result == "ok" || out.result == "died"
	if took && out.token != 0 {
		// A fencing token only grows; readers beside each other may share one.
		reads := s.op == "rlock" || s.op == "tryrlock"
		if out.token < w.token || out.token == w.token && !(reads && w.shared) {
			return w, false
		}
		w.token, w.shared = out.token, reads
	}
	switch s.op {
	case "die":
		return w.die(s.client), true
	case "lock", "trylock":
		if !took {
			return w, s.op == "trylock" // no: what it may say whenever it was held, or promised
		}
		ok := w.writer < 0 && w.sum() == 0 && w.suspect == (out.result == "died")
		w.writer = int8(s.client)
		return w, ok
	case "rlock", "tryrlock":
		if !took {
			return w, s.op == "tryrlock"
		}
		ok := w.writer < 0 && w.suspect == (out.result == "died")
		w.holds[s.client]++
		return w, ok
	case "mark":
		ok := w.writer == int8(s.client)
		w.suspect = false
		return w, ok
	case "unlock":
		ok := w.writer == int8(s.client)
		w.writer = -1
		return w, ok
	}
	if n, ok, known := happenCond(w, s, out); known {
		return n, ok
	}
	return happenCounted(w, s, out, limit)
}

// happenCond is a condition with its mutex. To wait for it is to enter, which
// gives the mutex back, and to be woken, which takes it again, unless the
// context has ended: then the client is out without it.
func happenCond(w world, s step, out outcome) (next world, ok, known bool) {
	me := &w.waits[s.client]
	switch s.op {
	case "enter":
		ok = w.writer == int8(s.client) && *me == waitsNot
		w.writer, *me = -1, waitsStill
	case "woken":
		if out.result == "ended" {
			ok = *me != waitsNot
		} else {
			ok = *me == waitsNoMore && w.writer < 0 && w.suspect == (out.result == "died")
			w.writer = int8(s.client)
		}
		*me = waitsNot
	case "signal", "broadcast":
		ok = true
		for i := range w.waits {
			if w.waits[i] == waitsStill {
				w.waits[i] = waitsNoMore
			}
		}
	default:
		return w, false, false
	}
	return w, ok, true
}

func happenCounted(w world, s step, out outcome, limit int) (world, bool) {
	switch s.op {
	case "runlock", "release":
		w.holds[s.client] -= int8(s.arg)
		return w, w.holds[s.client] >= 0
	case "acquire":
		w.holds[s.client] += int8(s.arg)
		return w, w.sum() <= limit
	case "try":
		if out.result == "no" {
			return w, true // it may give way to who has waited too long
		}
		w.holds[s.client] += int8(s.arg)
		return w, w.sum() <= limit
	case "set":
		w.set = true
		return w, true
	case "reset":
		w.set = false
		return w, true
	case "isset":
		return w, w.set == (out.result == "ok")
	case "wait":
		return w, w.set
	case "arrive":
		w.holds[s.client]++
		if w.sum() == limit {
			for i, n := range w.holds {
				w.passed[i] = w.passed[i] || n > 0
				w.holds[i] = 0
			}
		}
		return w, true
	case "pass":
		ok := w.passed[s.client]
		w.passed[s.client] = false
		return w, ok
	}
	return w, false
}

// die gives back what the client held.
func (w world) die(client int) world {
	w.holds[client], w.dead[client], w.waits[client] = 0, true, waitsNot
	if w.writer == int8(client) {
		w.writer, w.suspect = -1, true
	}
	return w
}

func (w world) sum() int {
	n := 0
	for _, h := range w.holds {
		n += int(h)
	}
	return n
}
