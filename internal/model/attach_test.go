// SPDX-License-Identifier: Apache-2.0

package model

import "testing"

// attachBug is what can be wrong with the agreement on rings.
type attachBug struct {
	hasty    bool // the listener uses the rings as soon as it has attached
	optimist bool // the dialer says R without having attached
	deaf     bool // a wait for the peer does not hear of its death
}

// attachState is a dialer (0) and a listener (1) that agree whether to use
// rings or the socket: docs/formats/shm.md, The handshake.
type attachState struct {
	pc       [2]uint8
	dead     [2]bool
	attached [2]bool // has mapped the other's segment
	rings    [2]bool // hands out a connection on rings
	hello    uint8   // 0: none yet, 1: with a segment, 2: without
	answer   uint8   // likewise; 1 is status 0, 2 is status 1
	last     uint8   // 'R' is 1, 'S' is 2
}

const (
	aFirst = iota
	aWait
	aOpen   // hands out the connection
	aFailed // an error
)

func attachModel(bug attachBug) System[attachState] {
	return System[attachState]{
		First: []attachState{{}},
		Next: func(s attachState, step func(string, attachState)) {
			for i, name := range []string{"dialer ", "listener "} {
				if s.pc[i] < aOpen && !s.dead[0] && !s.dead[1] {
					to := s
					to.dead[i], to.pc[i] = true, aFailed
					step(name+"is killed", to)
				}
				if s.pc[i] == aWait && s.dead[1-i] && !bug.deaf {
					to := s
					to.pc[i] = aFailed
					step(name+"hears of the death", to)
				}
			}
			dialerStep(s, bug, step)
			listenerStep(s, bug, step)
		},
		Wrong: func(s attachState) string {
			switch {
			case s.pc == [2]uint8{aOpen, aOpen} && s.rings[0] != s.rings[1]:
				return "one uses the rings, the other the socket"
			case s.rings[0] && !s.attached[0] || s.rings[1] && !s.attached[1]:
				return "rings are used that are not attached"
			}
			return ""
		},
		// If nobody dies both are done; who is killed has failed.
		Done: func(s attachState) bool { return s.pc[0] >= aOpen && s.pc[1] >= aOpen },
	}
}

func dialerStep(s attachState, bug attachBug, step func(string, attachState)) {
	switch {
	case s.pc[0] == aFirst:
		s.pc[0] = aWait
		s.hello = 1
		step("dialer offers a segment", s)
		s.hello = 2
		step("dialer has no memory", s)
	case s.pc[0] == aWait && s.answer == 1:
		with := s
		with.pc[0], with.attached[0], with.rings[0], with.last = aOpen, true, true, 1
		step("dialer attaches, says R", with)
		s.pc[0], s.last = aOpen, 2
		if bug.optimist {
			s.last = 1
		}
		step("dialer cannot attach, says S", s)
	case s.pc[0] == aWait && s.answer == 2:
		s.pc[0], s.last = aOpen, 2
		step("dialer says S", s)
	}
}

func listenerStep(s attachState, bug attachBug, step func(string, attachState)) {
	switch {
	case s.pc[1] == aFirst && s.hello == 0 && s.dead[0] && !bug.deaf:
		s.pc[1] = aFailed
		step("listener hears of the death", s)
	case s.pc[1] == aFirst && s.hello != 0:
		s.pc[1] = aWait
		if s.hello == 1 {
			to := s
			to.attached[1], to.answer = true, 1
			if bug.hasty {
				to.rings[1], to.pc[1] = true, aOpen
			}
			step("listener attaches, answers 0", to)
		}
		s.answer = 2
		step("listener answers 1", s)
	case s.pc[1] == aWait && s.last != 0:
		s.pc[1], s.rings[1] = aOpen, s.last == 1
		step("listener reads the last word", s)
	}
}

func TestAttach(t *testing.T) {
	holds(t, attachModel, map[string]attachBug{
		"the listener does not wait for the last word": {hasty: true},
		"the dialer says R whatever happened":          {optimist: true},
		"nobody hears of a death":                      {deaf: true},
	})
}
