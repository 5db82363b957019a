// SPDX-License-Identifier: Apache-2.0

package model

import "testing"

// pollerBug is what can be wrong with two halves that share one poller.
type pollerBug struct {
	keepsPlace bool // leave without kicking the other half
	forgets    bool // remember a kick only of a half that is parked
}

// pollerState is one process, whose reading and writing halves each wait for a
// condition of their own, and the peer that makes both true and sends a byte
// for each. Only one half may be in the poller: it hears for both.
type pollerState struct {
	bytes  uint8 // on the socket
	cond   [2]bool
	kicked [2]bool
	parked [2]bool
	token  [2]bool
	holder uint8 // 1 + the half in the poller; 0: nobody
	pc     [2]uint8
	peer   uint8 // 0: idle, 1: has a byte to send
}

const (
	pLook = iota
	pWait
	pPoll
	pLeave
	pParked
	pDone
)

// pollerModel is transport/shm's bell, whose steps under its mutex are one.
func pollerModel(bug pollerBug) System[pollerState] {
	kick := func(s *pollerState, i int) {
		s.kicked[i] = s.parked[i] || !bug.forgets
		s.token[i] = s.token[i] || s.parked[i]
	}
	return System[pollerState]{
		First: []pollerState{{}},
		Next: func(s pollerState, step func(string, pollerState)) {
			peerSteps(s, step)
			for i := range s.pc {
				halfStep(s, i, kick, bug, step)
			}
		},
		Wrong: func(s pollerState) string {
			if s.pc[0] == pPoll && s.pc[1] == pPoll {
				return "both are in the poller"
			}
			return ""
		},
		Done: func(s pollerState) bool { return s.pc == [2]uint8{pDone, pDone} },
	}
}

func peerSteps(s pollerState, step func(string, pollerState)) {
	if s.peer == 1 {
		s.bytes, s.peer = s.bytes+1, 0
		step("peer sends a byte", s)
		return
	}
	for i := range s.cond {
		if to := s; !s.cond[i] {
			to.cond[i], to.peer = true, 1
			step([]string{"peer publishes bytes", "peer makes room"}[i], to)
		}
	}
}

func halfStep(s pollerState, i int, kick func(*pollerState, int), bug pollerBug, step func(string, pollerState)) {
	name := []string{"reader ", "writer "}[i]
	switch s.pc[i] {
	case pLook:
		if s.pc[i] = pWait; s.cond[i] {
			s.pc[i] = pDone
		}
		step(name+"looks", s)
	case pWait:
		switch {
		case s.kicked[i]:
			s.kicked[i], s.pc[i] = false, pLook
		case s.holder == 0:
			s.holder, s.pc[i] = uint8(i)+1, pPoll
		default:
			s.parked[i], s.pc[i] = true, pParked
		}
		step(name+"waits", s)
	case pPoll:
		if s.bytes > 0 || s.kicked[i] {
			s.bytes, s.pc[i] = 0, pLeave
			step(name+"hears", s)
		}
	case pLeave:
		s.holder, s.kicked[i], s.pc[i] = 0, false, pLook
		if !bug.keepsPlace {
			kick(&s, 1-i)
		}
		step(name+"leaves the poller", s)
	case pParked:
		if s.token[i] {
			s.token[i], s.parked[i], s.pc[i] = false, false, pWait
			step(name+"is told", s)
		}
	}
}

func TestPoller(t *testing.T) {
	holds(t, pollerModel, map[string]pollerBug{
		"the place is not passed on": {keepsPlace: true},
		"a kick is not remembered":   {forgets: true},
	})
}
