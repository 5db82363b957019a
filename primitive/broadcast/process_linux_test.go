// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/internal/proctest"
)

const (
	testRing = 64 << 10
	testMost = 3000 // bytes of a record
)

// subscriberRole maps the segment that is descriptor 3, says which descriptor
// its control page is, and reads until the end. Arguments: policy, ring.
func subscriberRole(p *proctest.Self) error {
	policy, _ := strconv.Atoi(p.Args[0])
	ring, _ := strconv.Atoi(p.Args[1])
	s, err := Subscribe(3, ring, SubscribeConfig{Policy: Policy(policy)})
	if err != nil {
		return err
	}
	p.Sayf("%d", s.Control().FD())
	if _, err := p.Hear(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var got, lost uint64
	for next := uint64(0); ; next++ {
		rec, gap, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			p.Sayf("%d %d", got, lost)
			return nil
		}
		if err != nil {
			return err
		}
		got, lost, next = got+1, lost+gap, next+gap
		if err := checkContent(rec, testMost); err != nil || rec.Seq != next {
			return fmt.Errorf("%w: record %d, want %d", err, rec.Seq, next)
		}
	}
}

type child struct {
	*proctest.Process
	h *Handle
}

// startSubscriber starts one, attached and reading.
func startSubscriber(t *testing.T, p *Publisher, policy Policy, terms Terms) child {
	t.Helper()
	c := proctest.StartWith(t, proctest.Options{
		Role: "subscriber", Args: []string{strconv.Itoa(int(policy)), strconv.Itoa(p.Ring())},
		ExtraFiles: []*os.File{asFile(t, p.Segment())},
	})
	theirs, err := strconv.Atoi(c.Hear())
	if err != nil {
		t.Fatal(err)
	}
	fd, err := reopened(c.Pid(), theirs)
	if err != nil {
		t.Fatal(err)
	}
	terms.Policy = policy
	h, err := p.Attach(fd, terms)
	if err != nil {
		t.Fatal(err)
	}
	c.Say("go")
	return child{c, h}
}

// publishSome publishes records of known content, up to number to.
func publishSome(t *testing.T, p *Publisher, from, to uint64) {
	t.Helper()
	var buf []byte
	for seq := from; seq < to; seq++ {
		buf = content(buf, seq, testMost)
		if err := p.Publish(limited(t), buf); err != nil {
			t.Fatal(err)
		}
	}
}

// settles wants a subscriber to have received or to have counted as lost all
// that was published.
func (c child) settles(t *testing.T, published uint64) (lost uint64) {
	t.Helper()
	var got uint64
	if _, err := fmt.Sscan(c.Hear(), &got, &lost); err != nil {
		t.Fatal(err)
	}
	if got+lost != published {
		t.Errorf("%s: %d received, %d lost, %d published", c.h.Name(), got, lost, published)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%s: %d received, %d lost", c.h.Name(), got, lost)
	return lost
}

func TestFourProcesses(t *testing.T) {
	const total = 20000
	p := publisher(t, Config{Ring: testRing})
	subs := []child{
		startSubscriber(t, p, Lossy, Terms{Name: "lossy"}), startSubscriber(t, p, Latest, Terms{Name: "latest"}),
		startSubscriber(t, p, Reliable, Terms{Name: "reliable", Patience: 20 * time.Second}), startSubscriber(t, p, Lossy, Terms{Name: "lossy too"}),
	}
	publishSome(t, p, 0, total)
	reliable := subs[2].h.Err()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range subs {
		if lost := c.settles(t, total); c.h.terms.Policy == Reliable && (lost != 0 || reliable != nil) {
			t.Errorf("%s lost %d, %v", c.h.Name(), lost, reliable)
		}
	}
}

// Subscribers that are stopped cost the publisher nothing, or once their
// patience, and count exactly what they lost when they go on.
func TestStoppedSubscribers(t *testing.T) {
	const total = 4000
	p := publisher(t, Config{Ring: testRing})
	var why error
	subs := []child{
		startSubscriber(t, p, Lossy, Terms{Name: "lossy"}), startSubscriber(t, p, Latest, Terms{Name: "latest"}),
		startSubscriber(t, p, Reliable, Terms{Name: "reliable", Patience: 50 * time.Millisecond, Dropped: func(_ *Handle, err error) { why = err }}),
	}
	witness := subscribe(t, p, SubscribeConfig{})
	publishSome(t, p, 0, 10)
	for _, c := range subs {
		c.Signal(unix.SIGSTOP)
		waitState(t, c.Pid(), 'T')
	}
	publishSome(t, p, 10, total)
	if !errors.Is(why, fault.Timeout) || subs[2].h.Err() == nil || subs[0].h.Err() != nil || subs[1].h.Err() != nil {
		t.Errorf("dropped: %v; %v, %v, %v", why, subs[0].h.Err(), subs[1].h.Err(), subs[2].h.Err())
	}
	if rec, lost, err := witness.Next(limited(t)); err != nil || rec.Seq-lost != 0 || checkContent(rec, testMost) != nil {
		t.Errorf("the witness: %v, gap %d, %v", rec.Seq, lost, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range subs {
		c.Signal(unix.SIGCONT)
		if lost := c.settles(t, total); lost == 0 {
			t.Errorf("%s lost nothing while it stood still", c.h.Name())
		}
	}
}

// waitState waits until a process is in the state, of which there is no event.
func waitState(t *testing.T, pid int, state byte) {
	t.Helper()
	for ctx := limited(t); ctx.Err() == nil; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		if i := lastParen(stat); i > 0 && stat[i+2] == state {
			return
		}
	}
	t.Fatalf("process %d is not in state %c", pid, state)
}

func lastParen(b []byte) int {
	for i := len(b) - 3; i >= 0; i-- {
		if b[i] == ')' {
			return i
		}
	}
	return -1
}

func TestKilledSubscribers(t *testing.T) {
	const total = 4000
	p := publisher(t, Config{Ring: testRing})
	var why error
	dead := startSubscriber(t, p, Reliable, Terms{Name: "dead", Patience: 50 * time.Millisecond, Dropped: func(_ *Handle, err error) { why = err }})
	other := startSubscriber(t, p, Lossy, Terms{Name: "dead too"})
	alive := startSubscriber(t, p, Reliable, Terms{Name: "alive", Patience: 20 * time.Second})
	publishSome(t, p, 0, 100)
	dead.Kill()
	other.Kill()
	publishSome(t, p, 100, total)
	if !errors.Is(why, fault.Timeout) || dead.h.Err() == nil {
		t.Errorf("the dead: %v, %v", why, dead.h.Err())
	}
	if err := alive.h.Err(); err != nil {
		t.Errorf("the living: %v", err)
	}
	_ = p.Close()
	if lost := alive.settles(t, total); lost != 0 {
		t.Errorf("the living lost %d", lost)
	}
}

// publisherRole publishes until it is killed. It attaches the control page
// whose process and descriptor it hears of.
func publisherRole(p *proctest.Self) error {
	pub, err := NewPublisher(Config{Ring: testRing})
	if err != nil {
		return err
	}
	p.Sayf("%d", pub.Segment().FD())
	for range 2 {
		line, err := p.Hear()
		if err != nil {
			return err
		}
		var pid, theirs, policy int
		if _, err := fmt.Sscan(line, &pid, &theirs, &policy); err != nil {
			return err
		}
		fd, err := reopened(pid, theirs)
		if err != nil {
			return err
		}
		if _, err := pub.Attach(fd, Terms{Policy: Policy(policy), Patience: 20 * time.Second}); err != nil {
			return err
		}
	}
	var batch [3][]byte
	for seq := uint64(0); ; seq += 3 {
		for i := range batch {
			batch[i] = content(batch[i], seq+uint64(i), testMost)
		}
		if _, err := pub.PublishBatch(context.Background(), batch[:]); err != nil {
			return err
		}
	}
}

// A publisher killed at any instant leaves whole records, then an end that the
// caller's Wait tells; the next has another epoch.
func TestKilledPublisher(t *testing.T) {
	seed := rand.Uint64()
	if v := os.Getenv("PARLEY_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PARLEY_SEED=%d repeats this", seed)
	rnd := rand.New(rand.NewPCG(seed, 7))
	epochs := map[uint64]bool{}
	for range kills(t) {
		epochs[killedPublisher(t, 1+rnd.IntN(3000))] = true
	}
	if len(epochs) != kills(t) {
		t.Errorf("%d epochs", len(epochs))
	}
}

func kills(t *testing.T) int {
	if v := os.Getenv("PARLEY_KILLS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		return min(n, 200)
	}
	return 12
}

func killedPublisher(t *testing.T, after int) uint64 {
	t.Helper()
	c := proctest.Start(t, "publisher")
	theirs, err := strconv.Atoi(c.Hear())
	if err != nil {
		t.Fatal(err)
	}
	var dead atomic.Bool
	wait := func(ctx context.Context) error {
		if dead.Load() {
			return fault.New(fault.PeerDied, "wait", "", nil)
		}
		return new(poll).wait(ctx)
	}
	var subs [2]*Subscriber
	for i, policy := range []Policy{Reliable, Lossy} {
		fd, err := reopened(c.Pid(), theirs)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Subscribe(fd, testRing, SubscribeConfig{Policy: policy, Wait: wait})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		c.Say(fmt.Sprint(os.Getpid(), s.Control().FD(), int(policy)))
		subs[i] = s
	}
	for i, n := range []int{after, 0} { // the lossy one looks only when all is over
		for next := subs[i].seq; ; next++ {
			rec, lost, err := subs[i].Next(limited(t))
			if errors.Is(err, fault.PeerDied) && dead.Load() {
				break
			}
			if next += lost; err != nil || rec.Seq != next {
				t.Fatalf("record %d, want %d: %v", rec.Seq, next, err)
			}
			if err := checkContent(rec, testMost); err != nil || i == 0 && lost != 0 {
				t.Fatalf("%v, %d lost", err, lost)
			}
			if n--; n == 0 {
				c.Kill()
				dead.Store(true)
			}
		}
	}
	return subs[0].Epoch()
}
