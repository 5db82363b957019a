// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"bytes"
	"context"
	"testing"

	"pgregory.net/rapid"
)

// modelled is one subscriber and what it must see.
type modelled struct {
	s    *Subscriber
	next uint64 // sequence number it has yet to account for
	got  uint64
	lost uint64
}

// model is everything that was published.
type model struct {
	t     *rapid.T
	p     *Publisher
	first uint64
	sent  [][]byte
	subs  []*modelled
}

func (m *model) newest() uint64 { return m.first + uint64(len(m.sent)) - 1 }

func (m *model) payload() []byte {
	n := rapid.OneOf(rapid.IntRange(0, 40), rapid.SampledFrom([]int{0, 1, 7, 8, 9, 1000, MinRing/4 - 1, MinRing / 4})).Draw(m.t, "size")
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(len(m.sent)*7 + i)
	}
	return b
}

func (m *model) publish() {
	switch b := m.payload(); rapid.IntRange(0, 3).Draw(m.t, "how") {
	case 0:
		mustPublish(m.t, m.p, b)
		m.sent = append(m.sent, b)
	case 1:
		batch, room := [][]byte{b}, uint64(MinRing)-recordSize(len(b)) // no more than a reliable subscriber's copy can free
		for range rapid.IntRange(0, 40).Draw(m.t, "batch") {
			b := m.payload()
			if recordSize(len(b)) > room {
				break
			}
			batch, room = append(batch, b), room-recordSize(len(b))
		}
		if n, err := m.p.PublishBatch(context.Background(), batch); err != nil || n != len(batch) {
			m.t.Fatal(n, err)
		}
		m.sent = append(m.sent, batch...)
	case 2:
		mem, err := m.p.Loan(context.Background(), min(len(b)+100, MinRing/4))
		if err != nil {
			m.t.Fatal(err)
		}
		copy(mem, b)
		if err := m.p.Commit(len(b)); err != nil {
			m.t.Fatal(err)
		}
		m.sent = append(m.sent, b)
	default:
		if mem, err := m.p.Loan(context.Background(), len(b)); err != nil {
			m.t.Fatal(err)
		} else {
			clear(mem)
			m.p.Abort()
		}
	}
}

// read takes one record, if there is one, and reports whether there was.
func (m *model) read(sub *modelled) bool {
	borrow := rapid.Bool().Draw(m.t, "borrow")
	look := sub.s.Next
	if borrow {
		look = sub.s.Borrow
	}
	rec, lost, err := look(now())
	if nothingNow(err) {
		if sub.next != m.newest()+1 {
			m.t.Fatalf("%v: nothing, at %d of %d", sub.s.cfg.Policy, sub.next, m.newest())
		}
		return false
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if rec.Seq != sub.next+lost || !bytes.Equal(rec.Bytes, m.sent[rec.Seq-m.first]) {
		m.t.Fatalf("%v: record %d of %d bytes after %d and a gap of %d", sub.s.cfg.Policy, rec.Seq, len(rec.Bytes), sub.next-1, lost)
	}
	if sub.s.cfg.Policy == Latest && rec.Seq != m.newest() || sub.s.cfg.Policy == Reliable && lost != 0 {
		m.t.Fatalf("%v: record %d of %d, gap %d", sub.s.cfg.Policy, rec.Seq, m.newest(), lost)
	}
	if borrow && !sub.s.Release() {
		m.t.Fatal("a borrowed record spoilt without a publication")
	}
	sub.next, sub.got, sub.lost = rec.Seq+1, sub.got+1, sub.lost+lost
	return true
}

// drainReliable makes room, so that the publisher need not wait in a test
// with one goroutine.
func (m *model) drainReliable() {
	for _, sub := range m.subs {
		for sub.s.cfg.Policy == Reliable && m.read(sub) {
		}
	}
}

func (m *model) join() {
	s := subscribe(m.t, m.p, SubscribeConfig{Policy: Policy(rapid.IntRange(0, 2).Draw(m.t, "policy")), Last: rapid.IntRange(0, 5).Draw(m.t, "last"), Spin: Off})
	attach(m.t, m.p, s, Terms{})
	m.subs = append(m.subs, &modelled{s: s, next: s.seq})
	if got := m.newest() + 1 - s.seq; got > uint64(s.cfg.Last) {
		m.t.Fatalf("joined %d back, asked for %d", got, s.cfg.Last)
	}
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.SampledFrom([]uint64{0, 1<<32 - 4096, 1<<64 - 8, 1<<64 - 4096, 1<<63 - 8192}).Draw(t, "position")
		seq := rapid.SampledFrom([]uint64{0, 1<<32 - 5, 1<<64 - 5}).Draw(t, "seq")
		m := &model{t: t, p: publisher(t, Config{}.WithStart(at, seq)), first: seq}
		m.join()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				if len(m.subs) < 4 {
					m.join()
				}
			case 1, 2, 3:
				m.read(m.subs[rapid.IntRange(0, len(m.subs)-1).Draw(t, "who")])
			default:
				m.drainReliable()
				m.publish()
			}
		}
		for _, sub := range m.subs {
			from := sub.next - sub.got - sub.lost
			for m.read(sub) {
			}
			if sub.got+sub.lost != m.newest()+1-from {
				t.Fatalf("%v: %d received, %d lost, %d published", sub.s.cfg.Policy, sub.got, sub.lost, m.newest()+1-from)
			}
		}
	})
}
