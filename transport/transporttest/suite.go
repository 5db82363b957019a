// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"testing"
	"time"
)

// limit bounds every wait of the suite. It is a bound of correctness on a
// loaded machine, not a promise about time. Only the suite's own test lowers it.
var limit = 20 * time.Second

// check is one property. It runs where applies is nil or says so.
type check struct {
	name    string
	run     func(t *testing.T, b Backend)
	applies func(b Backend) bool
}

// checks is the table of contents.
var checks = []check{
	{"Net", netConn, nil},

	{"Bytes", bytesWithin, nil},
	{"WritersDoNotInterleave", writersDoNotInterleave, nil},
	{"HalfClose", halfClose, nil},
	{"EndOfStream", endOfStream, nil},
	{"ReadDeadline", readDeadline, nil},
	{"WriteDeadline", writeDeadline, nil},
	{"CloseUnblocks", closeUnblocks, nil},
	{"Closed", closed, nil},
	{"Contexts", contexts, nil},

	{"AcceptContext", acceptContext, Backend.listens},
	{"CloseUnblocksAccept", closeUnblocksAccept, Backend.listens},
	{"ListenAgain", listenAgain, Backend.listens},
	{"ListenerLeavesConns", listenerLeavesConns, Backend.listens},
	{"InUse", inUse, func(b Backend) bool { return b.listens() && !b.NoClaim }},
	{"DialNobody", dialNobody, func(b Backend) bool { return b.listens() && !b.DialWaits }},
	{"DialCancelled", dialCancelled, Backend.listens},
	{"Sequential", sequential, Backend.listens},
	{"Concurrent", concurrent, Backend.many},
	{"Stranger", stranger, func(b Backend) bool { return b.listens() && !b.AsksNobody }},
	{"Identity", identityWithin, Backend.listens},

	{"Files", files, func(b Backend) bool { return b.Files }},
	{"NoFiles", noFiles, func(b Backend) bool { return !b.Files }},
	{"Lend", lend, func(b Backend) bool { return b.Lend }},

	{"TwoProcesses", twoProcesses, func(b Backend) bool { return !b.OneProcess }},
	{"Kill", kill, func(b Backend) bool { return !b.OneProcess }},
	{"KillWhileConnecting", killWhileConnecting, func(b Backend) bool { return b.listens() && !b.OneProcess }},
	{"Crowd", crowd, func(b Backend) bool { return b.many() && !b.OneProcess }},
	{"Use", use, nil},
	{"UseTwoProcesses", useTwoProcesses, func(b Backend) bool { return !b.OneProcess }},
	{"LeaksNothing", leaksNothing, nil},
}

// Run runs the whole suite on b.
func Run(t *testing.T, b Backend) {
	for _, c := range checks {
		if c.applies == nil || c.applies(b) {
			t.Run(c.name, func(t *testing.T) { c.run(t, b) })
		}
	}
}
