// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/internal/proctest"
	"github.com/parley-ipc/parley/topic"
)

// benchRing lets five processes take long turns on two processors.
const benchRing = 16 << 20

// benchRole reads as fast as it can and says how much it got and lost.
func benchRole(p *proctest.Self) error {
	policy, err := topic.ParsePolicy(p.Args[0])
	if err != nil {
		return err
	}
	e, err := openRole("mem://bench", Config{})
	if err != nil {
		return err
	}
	ctx, cancel := roleContext()
	defer cancel()
	sub, err := e.Topic("bench").Subscribe(ctx, topic.SubscribeConfig{Policy: policy, Patience: 20 * time.Second, EndOnClose: true})
	if err != nil {
		return err
	}
	items := make([]topic.Item, 64)
	for {
		if _, err = sub.NextBatch(ctx, items); err != nil {
			break
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	p.Sayf("%d %d", sub.Stats().Received, sub.Stats().Lost)
	return nil
}

func BenchmarkPublish(b *testing.B) {
	load, _ := os.ReadFile("/proc/loadavg")
	b.Logf("load average: %s", strings.TrimSpace(string(load)))
	for _, policy := range []topic.Policy{topic.Lossy, topic.Reliable} {
		for _, size := range []int{64, 1024} {
			for _, readers := range []int{1, 4} {
				for _, batch := range []int{1, 256} {
					b.Run(fmt.Sprintf("%v/size=%d/readers=%d/batch=%d", policy, size, readers, batch), func(b *testing.B) {
						benchPublish(b, policy, size, readers, batch)
					})
				}
			}
		}
	}
}

func benchPublish(b *testing.B, policy topic.Policy, size, readers, batch int) {
	runtimeDir(b)
	e := open(b, "mem://bench", Config{})
	defer func() { _ = e.Close() }()
	p, err := e.Topic("bench").Publisher(b.Context(), topic.PublisherConfig{MaxPatience: 20 * time.Second, Ring: benchRing})
	if err != nil {
		b.Fatal(err)
	}
	children := make([]*proctest.Process, readers)
	for i := range children {
		children[i] = proctest.Start(b, "bench", policy.String())
	}
	if err := p.(topic.Admin).AwaitSubscribers(b.Context(), readers); err != nil {
		b.Fatal(err)
	}
	ms := make([]topic.Message, batch)
	for i := range ms {
		ms[i].Data = make([]byte, size)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= batch {
		if _, err := p.PublishBatch(b.Context(), ms[:min(left, batch)]); err != nil {
			b.Fatal(err)
		}
	}
	_ = p.Close()
	var received float64
	for _, c := range children { // until the last has read it all
		var got, lost float64
		if _, err := fmt.Sscan(c.Hear(), &got, &lost); err != nil || got+lost != float64(b.N) {
			b.Fatalf("%v received, %v lost of %d: %v", got, lost, b.N, err)
		}
		received += got
	}
	b.StopTimer()
	b.ReportMetric(received/float64(readers)/float64(b.N), "received/sent")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
}

// What a loan costs does not depend on its size; filling it is its owner's.
func BenchmarkLoan(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 1 << 20, 16 << 20} {
		b.Run("size="+strconv.Itoa(size), func(b *testing.B) { benchLoan(b, size) })
	}
}

func benchLoan(b *testing.B, size int) {
	runtimeDir(b)
	e := open(b, "mem://bench", Config{})
	defer func() { _ = e.Close() }()
	p, err := e.Topic("loans").Publisher(b.Context(), topic.PublisherConfig{MaxData: size, MaxPatience: 20 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	sub, err := e.Topic("loans").Subscribe(b.Context(), topic.SubscribeConfig{Policy: topic.Reliable, Patience: 20 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l, err := p.Loan(b.Context(), topic.Message{Subject: "frames"}, size)
		if err == nil {
			err = l.Publish(size)
		}
		if err != nil {
			b.Fatal(err)
		}
		if _, err := sub.Borrow(b.Context()); err != nil || !sub.Release() {
			b.Fatal(err)
		}
	}
}
