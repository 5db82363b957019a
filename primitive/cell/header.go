// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"errors"
	"fmt"
	"strings"

	"github.com/parley-ipc/parley/fault"
)

// format writes the header, its magic last: who reads while it is written, or
// after its writer died half-way, finds no cell.
func (s *shape) format(m memory, flags uint32, start uint64) {
	word(m.bytes, atMagic).Store(0)
	all := words(m.bytes)
	for i := range all {
		all[i].Store(0)
	}
	for at, v := range map[int]int{
		atVersion: version, atFlags: int(flags), atSize: s.size, atAlign: s.align,
		atSlots: slotCount, atStride: s.stride(), atLength: len(s.text),
	} {
		word32(m.bytes, at).Store(uint32(v))
	}
	word(m.bytes, atHash).Store(s.hash())
	text := s.text[:min(len(s.text), maxText)]
	store(words(m.bytes[atText:atValues]), []byte(text), nil)
	m.seq.Store(start)
	word(m.bytes, atMagic).Store(magic)
}

// check reads the header once and says whether it is that of a cell of s.
// Nothing in it is used to find an address: the reader's own shape is.
func (s *shape) check(m memory) (flags uint32, err error) {
	switch word(m.bytes, atMagic).Load() {
	case magic:
	case 0:
		return 0, fault.New(fault.Unavailable, "open cell", "", errors.New("its writer has not finished making it"))
	default:
		return 0, fault.New(fault.Protocol, "open cell", "", errors.New("there is no cell in this memory"))
	}
	get := func(at int) int { return int(word32(m.bytes, at).Load()) }
	if v := get(atVersion); v != version {
		return 0, fault.New(fault.Protocol, "open cell", "", fmt.Errorf("its layout has version %d, ours is %d", v, version))
	}
	if size, hash := get(atSize), word(m.bytes, atHash).Load(); size != s.size || hash != s.hash() {
		return 0, fault.New(fault.Protocol, "open cell", "", s.difference(m, size)).
			WithHint("build both programs with the same type")
	}
	if slots, stride := get(atSlots), get(atStride); slots != slotCount || stride != s.stride() {
		return 0, fault.New(fault.Protocol, "open cell", "", fmt.Errorf("it has %d slots of %d bytes, not %d of %d", slots, stride, slotCount, s.stride()))
	}
	return uint32(get(atFlags)), nil
}

// difference names the first field in which the writer's type, described by
// text that may be anything, is not ours.
func (s *shape) difference(m memory, size int) error {
	length := uint(word32(m.bytes, atLength).Load())
	kept := make([]byte, min(length, maxText))
	load(kept, words(m.bytes[atText:atValues]), nil)
	theirs, ours := strings.Split(string(kept), "\n"), strings.Split(s.text, "\n")
	for i := range min(len(theirs), len(ours)) {
		if theirs[i] == ours[i] {
			continue
		}
		if length > maxText && i == len(theirs)-1 {
			break // the line was cut
		}
		return fmt.Errorf("the writer's type has %d bytes with %s, ours has %d bytes with %s", size, field(theirs[i]), s.size, field(ours[i]))
	}
	return fmt.Errorf("the writer's type has %d bytes, ours %d, and they differ after the first %d fields", size, s.size, min(len(theirs), len(ours))-1)
}

// field quotes one line of a description.
func field(text string) string {
	if text == "" {
		return "no further field"
	}
	const enough = 120
	at, rest, _ := strings.Cut(text[:min(len(text), enough)], " ")
	return fmt.Sprintf("%q at %q", rest, at)
}
