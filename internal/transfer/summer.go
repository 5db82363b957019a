// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"crypto/sha256"
	"hash"
)

// summer hashes beside the writing. Its goroutine ends with close.
type summer struct {
	hash hash.Hash
	size int64
	in   chan []byte
	done chan struct{}
}

func newSummer() *summer {
	s := &summer{hash: sha256.New(), in: make(chan []byte), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for p := range s.in {
			_, _ = s.hash.Write(p)
			s.done <- struct{}{}
		}
	}()
	return s
}

// begin hashes p, which stays unchanged until end.
func (s *summer) begin(p []byte) {
	s.size += int64(len(p))
	s.in <- p
}

func (s *summer) end() { <-s.done }

// digest is of everything so far.
func (s *summer) digest() digest {
	d := digest{size: s.size}
	s.hash.Sum(d.sum[:0])
	return d
}

func (s *summer) close() {
	close(s.in)
	<-s.done
}
