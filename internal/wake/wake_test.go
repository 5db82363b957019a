// SPDX-License-Identifier: Apache-2.0

package wake

import (
	"runtime"
	"testing"
	"time"
)

func TestSpinnersFor(t *testing.T) {
	for _, c := range []struct {
		procs, affinity int
		quota           float64
		throttled       bool
		want            int32
	}{
		{procs: 8, affinity: 8, quota: 8, want: 4},
		{procs: 1, affinity: 8, quota: 8, want: 1},
		{procs: 3, affinity: 2, quota: 2, want: 1},
		{procs: 8, affinity: 1, quota: 8, want: 0},
		{procs: 8, affinity: 8, quota: 1.5, want: 0},
		{procs: 8, affinity: 8, quota: 0.5, want: 0},
		{procs: 8, affinity: 8, quota: 8, throttled: true, want: 0},
	} {
		if got := spinnersFor(c.procs, c.affinity, c.quota, c.throttled); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// allow makes the machine look roomy for one test.
func allow(t *testing.T, n int32) {
	t.Helper()
	room.open()
	was, next := room.max.Load(), room.next.Load()
	room.max.Store(n)
	room.next.Store(time.Now().Add(time.Hour).UnixNano())
	t.Cleanup(func() { room.max.Store(was); room.next.Store(next) })
}

func never() bool { return false }

func TestOffNeverLooks(t *testing.T) {
	p := NewPacer(Off)
	if p.Spin(func() bool { t.Error("looked"); return true }) {
		t.Error("Off spun")
	}
}

func TestNoRoomNoSpin(t *testing.T) {
	allow(t, 0)
	p := NewPacer(Auto)
	if p.Spin(func() bool { t.Error("looked"); return true }) {
		t.Error("spun without room")
	}
}

func TestSpinsWhileItPays(t *testing.T) {
	allow(t, 1)
	p := NewPacer(Auto)
	for range 1000 {
		looks := 0
		if !p.Spin(func() bool { looks++; return looks > 20 }) {
			t.Fatal("gave up although it pays")
		}
	}
	tried := 0
	for range 2000 {
		looked := false
		p.Spin(func() bool { looked = true; return false })
		if looked {
			tried++
		}
		p.Slept(long - 1)
	}
	if tried < 9 || tried > 20 {
		t.Errorf("%d of 2000 waits were spun in vain", tried)
	}
	waits := 0
	for ; !p.Spin(func() bool { return true }); waits++ {
		p.Slept(10 * time.Microsecond)
	}
	if waits > maxPenalty/remission {
		t.Errorf("it took %d short sleeps to try again", waits)
	}
	for range 10 {
		if !p.Spin(func() bool { return true }) {
			t.Error("a success did not bring spinning back")
		}
	}
}

// One who is answered after a long sleep each time begins each wait asleep, but
// tries now and then.
func TestLongWaitsAreSlept(t *testing.T) {
	allow(t, 1)
	p := NewPacer(Auto)
	tried := 0
	for range 10 * maxLong {
		p.Spin(func() bool { tried++; return true }) // it would be met
		p.Slept(long)
	}
	if tried < 10 || tried > 11 {
		t.Errorf("tried %d times in %d waits", tried, 10*maxLong)
	}
	p.Slept(budget)
	p.Slept(budget)
	tried = 0
	if p.Spin(func() bool { tried++; return true }); tried == 0 {
		t.Error("does not spin after sleeps that were short again")
	}
}

// Whoever comes back after a pause waits for a peer that sleeps by now.
func TestPausesAreSlept(t *testing.T) {
	allow(t, 1)
	p := NewSparsePacer(Auto)
	p.Slept(budget)
	p.ended = time.Now().Add(-2 * long)
	looks := 0
	if p.Spin(func() bool { looks++; return looks > 1 }) {
		t.Errorf("spun for %d looks for a peer that sleeps", looks)
	}
	p.Slept(budget)
	p.ended = time.Now().Add(long) // no pause, however slow this test is
	if !p.Spin(func() bool { looks++; return looks > 8 }) {
		t.Error("does not spin without a pause")
	}
}

func TestSlotsAreBounded(t *testing.T) {
	allow(t, 1)
	if !room.enter() || room.enter() {
		t.Error("one slot, but not exactly one got in")
	}
	room.leave()
	p := NewPacer(Auto)
	room.enter()
	defer room.leave()
	looks := 0
	p.Spin(func() bool { looks++; return false })
	if looks > glance+1 {
		t.Errorf("%d looks without a slot", looks)
	}
}

func TestSpinEnds(t *testing.T) {
	allow(t, 1)
	for _, m := range []Mode{Auto, Always} {
		p := NewPacer(m)
		if p.Spin(never) {
			t.Errorf("mode %d: saw what never was", m)
		}
		if p.Awake() != (m == Always) {
			t.Errorf("mode %d: awake %v", m, p.Awake())
		}
	}
}

// Two sides that the kernel keeps on one processor meet only in a try that
// outlasts its clock tick: it must come, and come ever more rarely.
func TestTriesInVainLastLongNowAndThen(t *testing.T) {
	p := NewPacer(Auto)
	if got := p.limit(); got != budget {
		t.Errorf("the first try lasts %v, want %v", got, budget)
	}
	p.penalty = maxPenalty
	for _, want := range []int{minPatience, 2 * minPatience, 4 * minPatience} {
		tries := 1
		for p.limit() != longTry {
			if tries++; tries > maxPatience {
				t.Fatalf("no long try in %d", tries)
			}
		}
		if tries != want {
			t.Errorf("the long try was number %d, want %d", tries, want)
		}
	}
	p.vain, p.patience = maxPatience-1, maxPatience
	if p.limit() != longTry || p.patience != maxPatience {
		t.Errorf("patience grows to %d, beyond %d", p.patience, maxPatience)
	}
	p.mode = Always
	if got := p.limit(); got != roundAlways {
		t.Errorf("Always looks round after %v, want %v", got, roundAlways)
	}
}

// A sleep is worth a thread after a few brief ones in a row, and no longer
// once one was not brief.
func TestBrief(t *testing.T) {
	p := NewPacer(Off)
	for range warmest {
		if p.Brief() {
			t.Error("before it is known")
		}
		p.Slept(brief - 1)
	}
	if !p.Brief() {
		t.Error("not after brief sleeps")
	}
	if p.Slept(brief); p.Brief() {
		t.Error("after one that was not")
	}
}

// moves counts the partings of one test, which do not happen.
func moves(t *testing.T, may bool) *int {
	t.Helper()
	allow(t, 1)
	n := 0
	free, move := room.free.Load(), room.move
	room.free.Store(may)
	room.move = func() bool { n++; return true }
	t.Cleanup(func() { room.free.Store(free); room.move = move })
	return &n
}

// wait spins in vain and then sleeps for d, until a spin has had its time: on
// a busy machine some are cut short.
func wait(p *Pacer, d time.Duration) {
	for had := false; !had; {
		p.Spin(never)
		had = p.lingered
		p.Slept(d)
	}
}

func TestPartsWhenThePeerLacksAProcessor(t *testing.T) {
	n := moves(t, true)
	p := NewPacer(Auto)
	for range minRuns {
		wait(&p, atOnce/2)
	}
	if *n != 1 {
		t.Fatalf("parted %d times after %d spins that kept the peer waiting", *n, minRuns)
	}
	tries := 0
	p.Spin(func() bool { tries++; return true })
	if tries == 0 {
		t.Error("did not spin at once afterwards")
	}
}

func TestPartsEverMoreRarely(t *testing.T) {
	n := moves(t, true)
	p := NewPacer(Auto)
	for range 2000 {
		wait(&p, atOnce/2)
	}
	if *n < 5 || *n > 12 {
		t.Errorf("parted %d times in 2000 tries that it did not help", *n)
	}
}

func TestDoesNotPart(t *testing.T) {
	for name, c := range map[string]struct {
		may   bool
		mode  Mode
		slept time.Duration
	}{
		"from a peer that is slow": {may: true, mode: Auto, slept: 2 * atOnce},
		"when pinned":              {may: false, mode: Auto, slept: atOnce / 2},
		"without spinning":         {may: true, mode: Off, slept: atOnce / 2},
	} {
		t.Run(name, func(t *testing.T) {
			n := moves(t, c.may)
			p := NewPacer(c.mode)
			for range 100 {
				p.Spin(never)
				p.Slept(c.slept)
			}
			if *n != 0 {
				t.Errorf("parted %d times", *n)
			}
		})
	}
}

// Whoever has other goroutines to run does not spin while they wait.
func TestOthersComeFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	allow(t, 1)
	defer room.single.Store(room.single.Swap(true))
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for start := time.Now(); time.Since(start) < time.Millisecond; {
			}
			runtime.Gosched()
		}
	}()
	p := NewPacer(Auto)
	looks := 0
	if p.Spin(func() bool { looks++; return false }) {
		t.Error("saw what never was")
	}
	close(stop)
	<-done
	if looks > glance+clockMask+2 {
		t.Errorf("%d looks while another goroutine waited for the processor", looks)
	}
}
