// SPDX-License-Identifier: Apache-2.0

package sysv

import (
	"io/fs"
	"time"
)

// Kind is a sort of object. Each counts its own ids.
type Kind string

// The kinds.
const (
	Queues     Kind = "queue"
	Semaphores Kind = "semaphores"
	Memory     Kind = "memory"
)

// Info is one object, as /proc/sysvipc tells everybody. A field that its kind
// does not have is zero.
type Info struct {
	Kind    Kind        `json:"kind"`
	ID      int         `json:"id"`
	Key     int32       `json:"key"` // by which programs find it; 0: private
	Mode    fs.FileMode `json:"mode"`
	UID     uint32      `json:"uid"` // of its owner
	Creator uint32      `json:"creator"`
	Bytes   uint64      `json:"bytes"` // in a queue's messages; of memory
	Count   uint64      `json:"count"` // messages in a queue; semaphores in the set; processes that have the memory attached
	Changed time.Time   `json:"changed"`
	Used    time.Time   `json:"used"` // last sent to, received from, operated on, attached or detached; zero: never
	PIDs    []int       `json:"pids"` // who sent and received last; who made the memory and who used it last. Zero: nobody
}

// Message is what came out of a queue.
type Message struct {
	Type int // what its sender gave it, 1 or more
	Data []byte
}

// Queue is a message queue, by its id.
type Queue struct{ ID int }

// List returns all objects of this IPC namespace, whether or not we may use
// them: queues, then semaphores, then memory.
func List() ([]Info, error) {
	var all []Info
	for _, k := range []Kind{Queues, Semaphores, Memory} {
		infos, err := list(k)
		if err != nil {
			return nil, err
		}
		all = append(all, infos...)
	}
	return all, nil
}
