// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// The sizes that the option ring of a shm: address may have, in bytes.
const (
	MinRing = 16 << 10
	MaxRing = 1 << 30
)

// options lists the keys after '?' that each scheme knows, and what makes a
// value of theirs a good one, in the spelling that String uses.
var options = map[Scheme]map[string]func(string) (string, error){
	TCP:  {"insecure": trueOrFalse},
	Exec: {"parley": trueOrFalse},
	SHM:  {"ring": ringSize, "prefault": yesOrNo},
}

func trueOrFalse(s string) (string, error) {
	if s != "true" && s != "false" {
		return "", fmt.Errorf("is %q: write true or false, once", s)
	}
	return s, nil
}

func yesOrNo(s string) (string, error) {
	switch s {
	case "1":
		s = "true"
	case "0":
		s = "false"
	}
	return trueOrFalse(s)
}

func ringSize(s string) (string, error) {
	_, err := ParseRing(s)
	return s, err
}

// ParseRing reads the size of a ring: bytes, or a number with KiB, MiB or GiB;
// a power of two from MinRing to MaxRing.
func ParseRing(s string) (int, error) {
	number, shift := s, 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			number, shift = n, 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(number, 10, 31)
	size := n << shift
	if err != nil || size < MinRing || size > MaxRing || bits.OnesCount64(size) != 1 {
		return 0, fmt.Errorf("is %q: write a power of two from 16KiB to 1GiB, such as 256KiB", s)
	}
	return int(size), nil
}

// Ring is the size that a shm: address asks for, in bytes; 0 if it asks for
// none.
func (a Address) Ring() int {
	n, err := ParseRing(a.Query["ring"])
	if err != nil {
		return 0
	}
	return n
}
