// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapping is the page of an entry in our memory. Only our own uid and root may
// open the file for writing, so nobody else can take the page away.
type mapping struct{ page unsafe.Pointer }

// mapEntry maps f, all of whose blocks are reserved.
func mapEntry(f *os.File) (mapping, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return mapping{}, err
	}
	var m mapping
	var merr error
	err = raw.Control(func(fd uintptr) {
		m.page, merr = unix.MmapPtr(int(fd), 0, nil, entrySize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	})
	if err == nil {
		err = merr
	}
	return m, err
}

func (m mapping) counters() *Counters {
	return (*Counters)(unsafe.Add(m.page, offCounters))
}

// detach puts private memory with the same counts in the place of the file.
// Connections outlive their listener and go on counting at the same address,
// so the page is never unmapped: it costs one page for each listener that ever
// was, and neither a file nor a lock is kept open by it. Counts added between
// the look and the swap are lost.
func (m mapping) detach() error {
	counters := (*[numCounters]atomic.Uint64)(unsafe.Add(m.page, offCounters))
	var last [numCounters]uint64
	for i := range counters {
		last[i] = counters[i].Load()
	}
	_, err := unix.MmapPtr(-1, 0, m.page, entrySize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED)
	if err != nil {
		return err
	}
	for i, n := range last {
		if n != 0 { // an untouched page costs no memory
			counters[i].Add(n)
		}
	}
	return nil
}
