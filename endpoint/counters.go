// SPDX-License-Identifier: Apache-2.0

package endpoint

import "sync/atomic"

// Counters are the statistics of one listener since it started. On Linux they
// are written into the claim's file every second, where `parley ls` reads them.
// Each is an atomic of its own, so what is written is no snapshot.
// Fields are appended, never moved: docs/formats/endpoint.md pins offsets.
type Counters struct {
	Accepted       atomic.Uint64 // connections that passed handshake and policy
	Closed         atomic.Uint64 // of those, how many have ended
	Denied         atomic.Uint64 // refused by policy
	Failed         atomic.Uint64 // handshakes that broke or timed out
	BytesIn        atomic.Uint64 // read from peers
	BytesOut       atomic.Uint64 // written to peers
	FilesIn        atomic.Uint64
	FilesOut       atomic.Uint64
	Spins          atomic.Uint64 // shm: waits that ended while spinning
	Sleeps         atomic.Uint64 // shm: waits that slept
	Wakes          atomic.Uint64 // shm: wake-ups sent to a sleeping peer
	Fallbacks      atomic.Uint64 // shm: connections that worked on their socket for want of budget
	SafetyTimeouts atomic.Uint64 // shm: sleeps ended by the safety net; anything but 0 is a bug
}
