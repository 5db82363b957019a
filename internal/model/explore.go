// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"slices"
)

// System is a protocol between processes that take atomic steps. Its states
// hold everything: what is shared, and each process's own variables and place.
type System[S comparable] struct {
	First []S

	// Next calls step for each step that any process can take in s: by names
	// it, to is the state after it. A process that waits has no step.
	Next func(s S, step func(by string, to S))

	// Wrong says what must never be true of a state, if it is.
	Wrong func(s S) string

	// Done reports whether all that must happen has happened. From every state
	// that can come about, such a one must be reachable: a process that sleeps
	// for ever, or two that make each other go round in circles, are found.
	Done func(s S) bool
}

// Result is what Explore has found.
type Result struct {
	States, Steps int
	Fault         string   // empty: there is none
	Trace         []string // the shortest way to it
}

// explorer holds the states in the order of their distance from the first.
type explorer[S comparable] struct {
	System[S]
	index  map[S]int32
	states []S
	from   []int32 // the state before, on a shortest way; -1 for the first
	by     []string
	before [][]int32 // all states from which a step leads here
	steps  int
}

// Explore visits each state that can come about, at most limit of them.
func (s System[S]) Explore(limit int) Result {
	e := &explorer[S]{System: s, index: map[S]int32{}}
	for _, first := range s.First {
		e.visit(first, "", -1)
	}
	for at := 0; at < len(e.states); at++ {
		if len(e.states) > limit {
			return e.result(fmt.Sprintf("more than %d states", limit), at)
		}
		if fault := s.Wrong(e.states[at]); fault != "" {
			return e.result(fault, at)
		}
		s.Next(e.states[at], func(by string, to S) {
			e.steps++
			e.visit(to, by, int32(at))
		})
	}
	if at := e.hopeless(); at >= 0 {
		return e.result("it can never end from here", at)
	}
	return Result{States: len(e.states), Steps: e.steps}
}

func (e *explorer[S]) visit(s S, by string, from int32) {
	at, known := e.index[s]
	if !known {
		at = int32(len(e.states))
		e.index[s] = at
		e.states, e.from, e.by, e.before = append(e.states, s), append(e.from, from), append(e.by, by), append(e.before, nil)
	}
	if from >= 0 {
		e.before[at] = append(e.before[at], from)
	}
}

// hopeless returns the nearest state from which no end can be reached, or -1.
func (e *explorer[S]) hopeless() int {
	ends := make([]bool, len(e.states))
	var todo []int32
	for at, s := range e.states {
		if e.Done(s) {
			ends[at], todo = true, append(todo, int32(at))
		}
	}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, b := range e.before[at] {
			if !ends[b] {
				ends[b], todo = true, append(todo, b)
			}
		}
	}
	return slices.Index(ends, false)
}

func (e *explorer[S]) result(fault string, at int) Result {
	r := Result{States: len(e.states), Steps: e.steps, Fault: fmt.Sprintf("%s: %+v", fault, e.states[at])}
	for at := int32(at); e.from[at] >= 0; at = e.from[at] {
		r.Trace = append(r.Trace, e.by[at])
	}
	slices.Reverse(r.Trace)
	return r
}
