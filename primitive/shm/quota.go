// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"
	"sync"

	"github.com/parley-ipc/parley/fault"
)

// DefaultQuota is the Max of a zero Quota, in bytes.
const DefaultQuota = 1 << 30

// Quota bounds the Memory that was received and is not yet closed. The zero
// Quota has the default limit. Any number of connections may share one; Max
// may be set only before it is first used.
type Quota struct {
	Max int64 // bytes; default DefaultQuota

	mu   sync.Mutex
	used int64 // guarded by mu
}

// Used is the number of bytes taken.
func (q *Quota) Used() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.used
}

// take returns fault.TooLarge for what can never fit, and fault.Exhausted for
// what may fit later.
func (q *Quota) take(n int64) error {
	if q == nil {
		return nil
	}
	most := q.Max
	if most <= 0 {
		most = DefaultQuota
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if n > most {
		return fault.New(fault.TooLarge, "open memory", "", fmt.Errorf("%d bytes, the quota is %d", n, most)).
			WithHint("raise the quota, or send less")
	}
	if n > most-q.used {
		return fault.New(fault.Exhausted, "open memory", "", fmt.Errorf("%d bytes asked; %d of %d are held", n, q.used, most)).
			WithHint("close memory that was received before, or raise the quota")
	}
	q.used += n
	return nil
}

func (q *Quota) give(n int64) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used -= n
}
