// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"testing"

	"github.com/parley-ipc/parley/primitive/cell"
)

type small [8]uint64

func BenchmarkSet(b *testing.B) {
	for name, c := range map[string]cell.Config{"NoWatch": {NoWatch: true}, "Watch": {}} {
		b.Run("64B/"+name, func(b *testing.B) {
			w, _ := pair[small](b, c, 0)
			for b.Loop() {
				w.Set(small{1})
			}
		})
	}
	b.Run("512B/NoWatch", func(b *testing.B) {
		w, _ := pair[sample](b, cell.Config{NoWatch: true}, 0)
		v := sampleOf(1)
		for b.Loop() {
			w.Set(v)
		}
	})
}

func BenchmarkGet(b *testing.B) {
	b.Run("64B/alone", func(b *testing.B) { get[small](b, false) })
	b.Run("64B/beside a busy writer", func(b *testing.B) { get[small](b, true) })
	b.Run("512B/alone", func(b *testing.B) { get[sample](b, false) })
	b.Run("512B/beside a busy writer", func(b *testing.B) { get[sample](b, true) })
}

func get[T any](b *testing.B, busy bool) {
	w, r := pair[T](b, cell.Config{NoWatch: true}, 0)
	var v T
	w.Set(v)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for busy {
			w.Set(v)
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	overtaken := 0
	for b.Loop() {
		if _, _, ok := r.Get(); !ok {
			overtaken++
		}
	}
	close(stop)
	<-stopped
	b.ReportMetric(float64(overtaken), "overtaken")
}
