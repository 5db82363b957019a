// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/parley-ipc/parley/engine"
	"github.com/parley-ipc/parley/topic"
)

// readers are the other processes, in the order in which they are told of. The
// last one's standard input ends when it has stalled for long enough.
var readers = []struct {
	name   string
	policy topic.Policy
	read   func(context.Context, topic.Subscription) (string, error)
}{
	{"recorder", topic.Reliable, record},
	{"screen", topic.Latest, show},
	{"analysis", topic.Lossy, analyse},
	{"stalled", topic.Lossy, stall},
}

// reader is one of the other processes.
func reader(ctx context.Context, name string) error {
	e, err := engine.Open(ctx, address)
	if err != nil {
		return err
	}
	defer e.Close()
	for _, r := range readers {
		if r.name != name {
			continue
		}
		s, err := e.Topic("camera").Subscribe(ctx, topic.SubscribeConfig{Name: name, Policy: r.policy, Patience: 30 * time.Second, EndOnClose: true})
		if err != nil {
			return err
		}
		defer s.Close()
		text, err := r.read(ctx, s)
		if err != nil {
			return err
		}
		fmt.Printf("%s (%v): %s\n", name, r.policy, text)
	}
	return nil
}

// figures are when frames came.
type figures struct {
	ages        []time.Duration // since they were published
	first, last time.Time
}

func (f *figures) note(it topic.Item) {
	f.last = time.Now()
	if f.ages == nil {
		f.first = f.last
	}
	f.ages = append(f.ages, f.last.Sub(it.When()))
}

func (f *figures) String() string {
	n := len(f.ages)
	if n < 2 {
		return fmt.Sprintf("%d frames", n)
	}
	slices.Sort(f.ages)
	return fmt.Sprintf("%.1f a second, age %v in the middle, %v for 99 of 100", float64(n-1)/f.last.Sub(f.first).Seconds(),
		f.ages[n/2].Round(time.Microsecond), f.ages[min(n*99/100, n-1)].Round(time.Microsecond))
}

func whole(b []byte, n uint64) bool {
	return len(b) == size && bytes.Count(b, []byte{byte(n)}) == size
}

// record needs every frame, and the camera waits for it.
func record(ctx context.Context, s topic.Subscription) (string, error) {
	var f figures
	for n := uint64(0); ; n++ {
		it, err := s.Borrow(ctx)
		if errors.Is(err, io.EOF) {
			return fmt.Sprintf("%d whole frames, %d lost; %v", n, s.Stats().Lost, &f), nil
		}
		if err != nil {
			return "", err
		}
		f.note(it)
		good := it.Seq == n && whole(it.Data, n)
		if !s.Release() || !good {
			return "", fmt.Errorf("frame %d is torn or out of order", it.Seq)
		}
	}
}

// show wants the newest. A frame may be overwritten while it is being shown:
// Release says so, and the next one is better anyway.
func show(ctx context.Context, s topic.Subscription) (string, error) {
	var f figures
	for last := uint64(0); ; {
		it, err := s.Borrow(ctx)
		if errors.Is(err, io.EOF) {
			return fmt.Sprintf("each frame shown was whole, the last was number %d; %v", last, &f), nil
		}
		if err != nil {
			return "", err
		}
		f.note(it)
		good := whole(it.Data, it.Seq)
		if s.Release() && !good {
			return "", fmt.Errorf("frame %d is torn", it.Seq)
		}
		last = it.Seq
	}
}

// analyse takes copies, for it keeps them long.
func analyse(ctx context.Context, s topic.Subscription) (string, error) {
	var f figures
	for {
		it, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			st := s.Stats()
			return fmt.Sprintf("received and lost make %d; %v", st.Received+st.Lost, &f), nil
		}
		if err != nil {
			return "", err
		}
		f.note(it)
		if !whole(it.Data, it.Seq) {
			return "", fmt.Errorf("frame %d is torn", it.Seq)
		}
	}
}

// stall sits on a frame until the camera has overwritten it, then reads on.
func stall(ctx context.Context, s topic.Subscription) (string, error) {
	var sat time.Duration
	var on, lost uint64 // the frame, and how many it cost
	for {
		it, err := s.Borrow(ctx)
		if errors.Is(err, io.EOF) {
			st := s.Stats()
			return fmt.Sprintf("sat on frame %d for %v, found it overwritten, lost %d by that, read on to the last; together %d",
				on, sat.Round(time.Millisecond), lost, st.Received+st.Lost), nil
		}
		if err != nil {
			return "", err
		}
		switch {
		case sat == 0 && it.Seq >= stallFrom:
			start := time.Now()
			_, _ = io.Copy(io.Discard, os.Stdin)
			on, sat = it.Seq, time.Since(start)
			if s.Release() {
				return "", errors.New("its frame is still there")
			}
			continue
		case sat > 0 && lost == 0:
			lost = it.Lost
		}
		s.Release()
	}
}
