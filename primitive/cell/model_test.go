// SPDX-License-Identifier: Apache-2.0

package cell

import "testing"

// step is one thing that a writer does to the memory: a word of a slot, or
// the publication of what is whole.
type step struct{ slot, word, value uint64 }

const (
	modelWords = 3
	modelSets  = 7
	publish    = slotCount // the slot of a publication
)

func writerSteps() (steps []step) {
	for n := uint64(1); n <= modelSets; n++ {
		for word := range uint64(modelWords) {
			steps = append(steps, step{n % slotCount, word, n})
		}
		steps = append(steps, step{publish, 0, n})
	}
	return steps
}

// histories are the states of the memory between the writer's steps, the last
// element of each being the published number.
func histories() (states [][publish + 1][modelWords]uint64) {
	var m [publish + 1][modelWords]uint64
	states = append(states, m)
	for _, s := range writerSteps() {
		m[s.slot][s.word] = s.value
		states = append(states, m)
	}
	return states
}

// explore runs one Get in each way that its loads can fall between the
// writer's stores, and counts how many copies were taken for whole and how
// many of those were not.
func explore(good func(was, now uint64) bool) (taken, torn int) {
	states := histories()
	for i, begin := range states {
		if seq := begin[publish][0]; seq != 0 {
			a, b := copies(states[i:], seq, 0, nil, good)
			taken, torn = taken+a, torn+b
		}
	}
	return taken, torn
}

func copies(rest [][publish + 1][modelWords]uint64, seq uint64, word int, got []uint64, good func(was, now uint64) bool) (taken, torn int) {
	for i, s := range rest {
		if word == modelWords {
			if good(seq, s[publish][0]) {
				taken++
				if got[0] != seq || got[1] != seq || got[2] != seq {
					torn++
				}
			}
			continue
		}
		a, b := copies(rest[i:], seq, word+1, append(got[:word:word], s[seq%slotCount][word]), good)
		taken, torn = taken+a, torn+b
	}
	return taken, torn
}

// TestModel looks at every interleaving of one Get with seven Sets. All loads
// and stores are sequentially consistent, so there is nothing else to look at.
func TestModel(t *testing.T) {
	if taken, torn := explore(fresh); torn != 0 || taken == 0 {
		t.Errorf("%d of %d copies are torn", torn, taken)
	}
	lenient := func(was, now uint64) bool { return now-was < slotCount }
	if _, torn := explore(lenient); torn == 0 {
		t.Error("a rule that is wrong by one tears nothing: the model cannot fail")
	}
}

func TestLayout(t *testing.T) {
	type T struct {
		A bool
		B uint32
		C [2]int16
	}
	mem := make([]byte, 2048+4*128)
	w, err := New[T](mem, Config{})
	if err != nil {
		t.Fatal(err)
	}
	w.Set(T{true, 2, [2]int16{3, 4}})
	const text = "0 A bool8\n4 B uint32\n8 C 2 of 2 bytes\n8 C[] int16\n"
	for at, want := range map[int]uint32{
		8: 1, 12: 1, 16: 12, 20: 4, 32: 4, 36: 128, 40: uint32(len(text)),
		136: 1, 140: 0, 2048: 0, 2048 + 128: 1, 2048 + 132: 2, 2048 + 256: 0,
	} {
		if got := word32(mem, at).Load(); got != want {
			t.Errorf("at %d: %#x, want %#x", at, got, want)
		}
	}
	// The hash is FNV-1a of the text.
	for at, want := range map[int]uint64{0: 0x4c4379656c726170, 24: 0xe24b8322406954a1, 128: 1} {
		if got := word(mem, at).Load(); got != want {
			t.Errorf("at %d: %#x, want %#x", at, got, want)
		}
	}
	if got := string(mem[256 : 256+len(text)]); got != text {
		t.Errorf("text %q", got)
	}
	_ = w.Close()
	if got := word32(mem, 140).Load(); got != 1 {
		t.Errorf("state after Close: %d", got)
	}
}
