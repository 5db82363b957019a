// SPDX-License-Identifier: Apache-2.0

package model

import "testing"

// namedBug is what can be wrong with making, opening and removing a name.
type namedBug struct {
	noRecheck  bool // trust the file that was opened before the lock
	magicFirst bool
	lateUse    bool // the use byte is locked after the change byte was let go
	rashRemove bool // remove without the change byte
	sloppyKeep bool // the dead keep their locks
}

// inode is a file that has or had the name.
type inode struct {
	magic, full bool
	change      uint8 // 1 + who holds the change byte
	uses        uint8 // a bit for each handle
}

type opener struct {
	pc     uint8
	ino    uint8 // 1 + index; 0: none
	mapped bool
}

// namedState is two processes that open or make a segment, use it and close
// it, and one that removes it unless it is used; one of them may be killed.
type namedState struct {
	name   uint8 // 1 + inode; 0: there is no such name
	inodes [4]inode
	made   uint8
	p      [3]opener
	deaths uint8
}

const (
	nOpen = iota
	nLock
	nCheck
	nInit
	nMagic
	nUse
	nUnlock
	nLateUse // mutated
	nUsing
	nEnd
)

func namedModel(bug namedBug) System[namedState] {
	return System[namedState]{
		First: []namedState{{}},
		Next: func(s namedState, step func(string, namedState)) {
			for i := range s.p {
				if s.p[i].pc == nEnd {
					continue
				}
				if s.deaths == 0 {
					step(killed(s, i, bug))
				}
				if i == 2 {
					removerStep(s, bug, step)
				} else {
					openerStep(s, i, bug, step)
				}
			}
		},
		Wrong: namedWrong,
		Done:  func(s namedState) bool { return s.p[0].pc == nEnd && s.p[1].pc == nEnd && s.p[2].pc == nEnd },
	}
}

func namedWrong(s namedState) string {
	a, b := s.p[0], s.p[1]
	for _, p := range []opener{a, b} {
		if p.mapped && p.pc > nMagic && !s.inodes[p.ino-1].full {
			return "a segment is used that is not complete"
		}
	}
	if a.mapped && b.mapped && a.ino != b.ino {
		return "two use one name and have different segments"
	}
	return ""
}

func killed(s namedState, i int, bug namedBug) (string, namedState) {
	s.deaths++
	if ino := s.p[i].ino; ino > 0 && !bug.sloppyKeep {
		n := &s.inodes[ino-1]
		n.uses &^= 1 << i
		if n.change == uint8(i)+1 {
			n.change = 0
		}
	}
	s.p[i] = opener{pc: nEnd}
	return "a process is killed", s
}

func openerStep(s namedState, i int, bug namedBug, step func(string, namedState)) {
	p := &s.p[i]
	if p.pc == nOpen {
		if s.name == 0 {
			if s.made == uint8(len(s.inodes)) {
				p.pc = nEnd // enough files for a model
				step("gives up", s)
				return
			}
			s.made++
			s.name = s.made
		}
		p.ino, p.pc = s.name, nLock
		step("opens or makes the file", s)
		return
	}
	n := &s.inodes[p.ino-1]
	switch p.pc {
	case nLock:
		if n.change != 0 {
			return // waits
		}
		n.change, p.pc = uint8(i)+1, nCheck
	case nCheck:
		switch {
		case s.name != p.ino && !bug.noRecheck:
			n.change, p.ino, p.pc = 0, 0, nOpen
		case n.magic:
			p.pc = nUse
		default:
			n.full, n.magic, p.pc = false, bug.magicFirst, nInit
		}
	case nInit:
		n.full, p.pc = true, nMagic
	case nMagic:
		n.magic, p.pc = true, nUse
	case nUse:
		if p.pc = nUnlock; !bug.lateUse {
			n.uses |= 1 << i
			p.mapped = true
		}
	case nUnlock:
		n.change = 0
		if p.pc = nUsing; bug.lateUse {
			p.pc = nLateUse
		}
	case nLateUse:
		n.uses |= 1 << i
		p.mapped, p.pc = true, nUsing
	case nUsing:
		n.uses &^= 1 << i
		*p = opener{pc: nEnd}
	}
	step([]string{"first", "second"}[i], s)
}

func removerStep(s namedState, bug namedBug, step func(string, namedState)) {
	p := &s.p[2]
	if p.pc == nOpen {
		p.ino, p.pc = s.name, nLock
		if s.name == 0 {
			p.pc = nEnd
		}
		step("remover opens", s)
		return
	}
	n := &s.inodes[p.ino-1]
	switch p.pc {
	case nLock:
		if n.change != 0 && !bug.rashRemove {
			return // waits
		}
		if p.pc = nCheck; !bug.rashRemove {
			n.change = 3
		}
	case nCheck:
		if p.pc = nUnlock; s.name == p.ino && n.uses == 0 {
			p.pc = nUsing
		}
	case nUsing:
		s.name, p.pc = 0, nUnlock
	case nUnlock:
		if n.change == 3 {
			n.change = 0
		}
		*p = opener{pc: nEnd}
	}
	step("remover", s)
}

func TestNamed(t *testing.T) {
	holds(t, namedModel, map[string]namedBug{
		"no second look at the name":      {noRecheck: true},
		"magic before the initialiser":    {magicFirst: true},
		"use is locked too late":          {lateUse: true},
		"removing without the lock":       {rashRemove: true},
		"locks that outlive their holder": {sloppyKeep: true},
	})
}
