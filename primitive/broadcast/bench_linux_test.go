// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-ipc/parley/internal/proctest"
)

const benchRing = 4 << 20

// benchRole reads as fast as it can and says how much it got and lost.
func benchRole(p *proctest.Self) error {
	policy, _ := strconv.Atoi(p.Args[0])
	s, err := Subscribe(3, benchRing, SubscribeConfig{Policy: Policy(policy)})
	if err != nil {
		return err
	}
	p.Sayf("%d", s.Control().FD())
	var got, lost uint64
	for {
		_, gap, err := s.Next(context.Background())
		lost += gap
		if errors.Is(err, io.EOF) {
			p.Sayf("%d %d", got, lost)
			return nil
		}
		if err != nil {
			return err
		}
		got++
	}
}

func BenchmarkPublish(b *testing.B) {
	load, _ := os.ReadFile("/proc/loadavg")
	b.Logf("load average: %s", strings.TrimSpace(string(load)))
	for _, policy := range []Policy{Lossy, Reliable} {
		for _, size := range []int{64, 1024} {
			for _, readers := range []int{1, 4} {
				for _, batch := range []int{1, 64} {
					b.Run(fmt.Sprintf("%v/size=%d/readers=%d/batch=%d", policy, size, readers, batch), func(b *testing.B) {
						benchPublish(b, policy, size, readers, batch)
					})
				}
			}
		}
	}
}

func benchPublish(b *testing.B, policy Policy, size, readers, batch int) {
	p := publisher(b, Config{Ring: benchRing})
	children := make([]*proctest.Process, readers)
	for i := range children {
		children[i] = proctest.StartWith(b, proctest.Options{Role: "bench", Args: []string{strconv.Itoa(int(policy))}, ExtraFiles: []*os.File{asFile(b, p.Segment())}})
		theirs, err := strconv.Atoi(children[i].Hear())
		if err != nil {
			b.Fatal(err)
		}
		fd, err := reopened(children[i].Pid(), theirs)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Attach(fd, Terms{Policy: policy, Patience: 20 * time.Second}); err != nil {
			b.Fatal(err)
		}
	}
	items := make([][]byte, batch)
	for i := range items {
		items[i] = make([]byte, size)
	}
	b.SetBytes(int64(size))
	b.ResetTimer()
	for left := b.N; left > 0; left -= batch {
		if err := send(p, items[:min(left, batch)]); err != nil {
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

func send(p *Publisher, items [][]byte) error {
	if len(items) == 1 {
		return p.Publish(context.Background(), items[0])
	}
	_, err := p.PublishBatch(context.Background(), items)
	return err
}

// What a loan costs does not depend on its size; filling it is its owner's.
func BenchmarkLoan(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			p := publisher(b, Config{Ring: 16 << 20})
			s := subscribe(b, p, SubscribeConfig{Policy: Reliable})
			attach(b, p, s, Terms{Patience: 20 * time.Second})
			for b.Loop() {
				if _, err := p.Loan(b.Context(), size); err != nil {
					b.Fatal(err)
				}
				if err := p.Commit(size); err != nil {
					b.Fatal(err)
				}
				if _, _, err := s.Borrow(b.Context()); err != nil || !s.Release() {
					b.Fatal(err)
				}
			}
		})
	}
}
