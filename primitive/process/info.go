// SPDX-License-Identifier: Apache-2.0

package process

import "time"

// Info is what the kernel says of a process. It is true of the process that
// the handle means, not of a later one with its number.
type Info struct {
	PID        int       `json:"pid"`
	PPID       int       `json:"ppid"`
	Name       string    `json:"name"`       // what it calls itself, at most 15 bytes: whatever it likes
	Executable string    `json:"executable"` // the path of its program; empty if we may not know
	UID        uint32    `json:"uid"`        // effective
	Started    time.Time `json:"started"`    // to a hundredth of a second
	Cgroup     string    `json:"cgroup"`     // path in the unified hierarchy, else in the first one
}

// Exit is how a process ended.
type Exit struct {
	Code   int    `json:"code"`             // exit status; -1 if a signal ended it
	Signal int    `json:"signal,omitempty"` // the signal that ended it, or 0
	Core   bool   `json:"core,omitempty"`   // a core was dumped
	Word   string `json:"-"`                // what String says
}

// String reads "exit status 3" or "signal: killed".
func (e Exit) String() string { return e.Word }

// Received is a signal with who sent it. Where it is Vouched for, the kernel
// wrote PID and UID. Otherwise, as for every signal that came with a value, its
// sender did, and may have lied: all that is known is that the kernel let it
// signal us, so it has our uid or CAP_KILL.
type Received struct {
	Signal  int    `json:"signal"`
	PID     int    `json:"pid"`     // of the sender; 0 if the kernel sent it, or one whom our PID namespace does not show
	UID     uint32 `json:"uid"`     // of the sender, its real one
	Value   int    `json:"value"`   // what SignalValue or sigqueue(3) sent with it
	Queued  bool   `json:"queued"`  // it came with a value
	Vouched bool   `json:"vouched"` // PID and UID are the kernel's word
}
