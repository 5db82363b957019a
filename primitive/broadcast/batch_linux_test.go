// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"errors"
	"testing"

	"github.com/parley-ipc/parley/fault"
)

// drained reads all there is and wants the records numbered from first on.
func drained(t *testing.T, s *Subscriber, first uint64) (bodies []string) {
	t.Helper()
	for {
		rec, lost, err := s.Next(now())
		if nothingNow(err) {
			return bodies
		}
		if err != nil || lost != 0 || rec.Seq != first+uint64(len(bodies)) {
			t.Fatalf("record %d after %d lost, %v", rec.Seq, lost, err)
		}
		bodies = append(bodies, string(rec.Bytes))
	}
}

func TestBatchRules(t *testing.T) {
	p := publisher(t, Config{})
	s := subscribe(t, p, SubscribeConfig{})
	for _, size := range []int{-8, 0, 16, headerSize + 1, RecordSize(MaxRecord(MinRing)) + 8} {
		if _, err := p.Batch(t.Context(), size); !errors.Is(err, fault.Invalid) {
			t.Errorf("a batch of %d bytes: %v", size, err)
		}
	}
	b, err := p.Batch(t.Context(), RecordSize(5)+RecordSize(8)+RecordSize(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(t.Context(), nil); !errors.Is(err, fault.InUse) {
		t.Errorf("Publish while a batch is out: %v", err)
	}
	copy(b.Add(5), "first")
	if b.Add(-1) != nil || b.Add(40) != nil {
		t.Error("records that there is no room for")
	}
	if rec := b.Add(8); len(rec) != 8 || cap(rec) != 8 {
		t.Errorf("lent %d bytes, up to %d", len(rec), cap(rec))
	} else {
		copy(rec, "second..")
	}
	if got := drained(t, s, 0); len(got) != 0 {
		t.Errorf("%q before Commit", got)
	}
	if err := b.Commit(); err != nil { // with less than was asked for
		t.Fatal(err)
	}
	if err := b.Commit(); !errors.Is(err, fault.Invalid) {
		t.Errorf("Commit again: %v", err)
	}
	b.Abort()
	if got := drained(t, s, 0); len(got) != 2 || got[0] != "first" || got[1] != "second.." {
		t.Errorf("%q", got)
	}
}

// What is aborted, or committed empty, leaves no trace; what is committed
// after Close is told.
func TestBatchEnds(t *testing.T) {
	p := publisher(t, Config{})
	s := subscribe(t, p, SubscribeConfig{})
	for _, end := range []func(b *Batch){func(b *Batch) { b.Add(1); b.Abort() }, func(b *Batch) {
		if err := b.Commit(); err != nil {
			t.Error(err)
		}
	}} {
		b, err := p.Batch(t.Context(), RecordSize(1))
		if err != nil {
			t.Fatal(err)
		}
		end(&b)
	}
	mustPublish(t, p, []byte("one"))
	if got := drained(t, s, 0); len(got) != 1 {
		t.Errorf("%q", got)
	}
	b, err := p.Batch(t.Context(), RecordSize(1))
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Close()
	b.Add(1)[0] = 1 // still mapped
	if err := b.Commit(); !errors.Is(err, fault.Closed) {
		t.Errorf("after Close: %v", err)
	}
	if p.data != nil {
		t.Error("still mapped after the last batch")
	}
}

// A run that is not taken, or in part, comes again from where it was left.
func TestRunComesAgain(t *testing.T) {
	p := publisher(t, Config{})
	s := subscribe(t, p, SubscribeConfig{})
	for i := range 3 {
		mustPublish(t, p, []byte{byte(i)})
	}
	for taken, left := 0, 3; left > 0; taken++ {
		r, lost, err := s.NextRun(now())
		if err != nil || lost != 0 || r.Seq() != uint64(3-left) {
			t.Fatalf("record %d, %d lost, %v", r.Seq(), lost, err)
		}
		n, _, _ := r.Head()
		if b := r.Body(n); n != 1 || b[0] != byte(3-left) {
			t.Fatalf("%v at %d", b, 3-left)
		}
		if taken%2 == 1 { // else it comes again
			s.Keep(r.Skip(n))
			left--
		}
	}
	if r, _, err := s.NextRun(now()); !nothingNow(err) || r.Whole() {
		t.Errorf("%v after the newest", err)
	}
}

// Records are copied in pieces that end anywhere. A subscriber that is
// overtaken between two pieces of a record has lost it, and says so, however
// little was left of it and however small what followed.
func TestOvertakenWithinARecord(t *testing.T) {
	const piece = MinRing / 8
	for _, policy := range []Policy{Lossy, Latest} {
		for first, rest := range map[int]struct{ count, size int }{MinRing / 4: {10, MinRing / 4}, piece + 8 - headerSize: {2000, 0}} {
			p := publisher(t, Config{})
			s := subscribe(t, p, SubscribeConfig{Policy: policy})
			mustPublish(t, p, make([]byte, first))
			if have, err := s.available(); err != nil || have != recordSize(first) || !s.copyOut(headerSize, piece) {
				t.Fatal(have, err)
			}
			if want, err := s.judge(); err != nil || want != recordSize(first)-piece {
				t.Fatal(want, err)
			}
			for range rest.count {
				mustPublish(t, p, make([]byte, rest.size))
			}
			rec, lost, err := s.Next(now())
			if err != nil || rec.Seq != lost || lost == 0 || len(rec.Bytes) != rest.size {
				t.Errorf("%v: record %d of %d bytes, %d lost, %v", policy, rec.Seq, len(rec.Bytes), lost, err)
			}
			for err == nil {
				rec, lost, err = s.Next(now())
				if err == nil && lost != 0 {
					t.Errorf("%v: %d lost before %d", policy, lost, rec.Seq)
				}
			}
			if s.seq != uint64(rest.count)+1 || !nothingNow(err) {
				t.Errorf("%v: next is %d, %v", policy, s.seq, err)
			}
		}
	}
}

// What Next began to copy, Borrow hands out as a copy; Close and Release in
// either order give all memory back.
func TestBorrowOfACopy(t *testing.T) {
	p := publisher(t, Config{})
	s := subscribe(t, p, SubscribeConfig{})
	mustPublish(t, p, []byte("read"))
	mustPublish(t, p, []byte("mine"))
	if _, _, err := s.Next(now()); err != nil {
		t.Fatal(err)
	}
	for range 100 { // the ring is another's by now
		mustPublish(t, p, make([]byte, 1000))
	}
	rec, lost, err := s.Borrow(context.Background())
	if err != nil || lost != 0 || string(rec.Bytes) != "mine" {
		t.Fatalf("%q, %d lost, %v", rec.Bytes, lost, err)
	}
	_ = s.Close()
	if s.data == nil {
		t.Error("unmapped while something is borrowed")
	}
	if !s.Release() || s.data != nil {
		t.Error("still mapped after Release")
	}
}
