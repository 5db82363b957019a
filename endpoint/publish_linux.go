// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"encoding/binary"
	"os"
	"sync"
	"time"
)

// publishEvery is how old the counts in an entry may be.
const publishEvery = time.Second

// publisher writes a listener's counters into its entry while they change.
// The file is written and never mapped: its directory may be shared with a
// container of the same uid, and touching a page of a file that somebody has
// cut short ends a Go program.
type publisher struct {
	file     *os.File
	counters *Counters
	stop     context.CancelFunc
	wg       sync.WaitGroup

	mu   sync.Mutex
	last [numCounters]uint64 // guarded by mu: what the entry says
}

// publish starts one, which goes on until close.
func publish(file *os.File, counters *Counters) *publisher {
	p := &publisher{file: file, counters: counters}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.wg.Go(func() {
		t := time.NewTicker(publishEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				p.write()
			case <-ctx.Done():
				return
			}
		}
	})
	return p
}

// write brings the entry up to date. The file is our own and its blocks are
// reserved; if writing fails all the same, the counts are old.
func (p *publisher) write() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var now [numCounters]uint64
	var b [8 * numCounters]byte
	for i := range now {
		now[i] = p.counters.words()[i].Load()
		binary.NativeEndian.PutUint64(b[8*i:], now[i])
	}
	if now == p.last {
		return
	}
	if _, err := p.file.WriteAt(b[:], offCounters); err == nil {
		p.last = now
	}
}

// close ends it and waits.
func (p *publisher) close() {
	p.stop()
	p.wg.Wait()
}
