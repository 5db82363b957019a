// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"fmt"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

// maxHeads bounds how many subjects' encodings are remembered.
const maxHeads = 1024

// encoder makes records of messages, without allocating once it is warm.
type encoder struct {
	heads, bodies [][]byte // of one batch
	arena         []byte   // heads with headers of their own

	known   map[string][]byte // heads without headers, by subject, which has been checked
	subject string            // the last one, and its head
	head    []byte
}

// encode fills heads and bodies with messages up to the first that cannot be
// published, and says what is wrong with that. size is of headers and data.
func (e *encoder) encode(ms []topic.Message, maxData int) (n, size int, err error) {
	if cap(e.heads) < len(ms) {
		e.heads, e.bodies = make([][]byte, len(ms)), make([][]byte, len(ms))
	}
	e.heads, e.bodies = e.heads[:len(ms)], e.bodies[:len(ms)]
	e.arena = e.arena[:0]
	heads, bodies := e.heads, e.bodies[:len(ms)]
	head, subject := e.head, e.subject
	for i := range heads {
		m := &ms[i]
		length := len(m.Data)
		if extra := len(m.Headers.Bytes()); extra > 0 || head == nil || m.Subject != subject {
			h, err := e.headOf(m.Subject, m.Headers)
			if err != nil {
				return i, size, err
			}
			heads[i] = h
			head, subject, length = e.head, e.subject, length+extra
		} else {
			heads[i] = head
		}
		if length > maxData {
			return i, size, tooLarge(length, maxData)
		}
		bodies[i] = m.Data
		size += length
	}
	return len(ms), size, nil
}

func tooLarge(n, most int) error {
	return fault.New(fault.TooLarge, "publish", "", fmt.Errorf("headers and data of %d bytes, at most %d", n, most)).
		WithHint("set PublisherConfig.MaxData")
}

// headOf is all of a record but its data. It is valid until the next encode.
func (e *encoder) headOf(subject string, h topic.Headers) ([]byte, error) {
	bare, err := e.bare(subject)
	if err != nil || len(h.Bytes()) == 0 {
		return bare, err
	}
	start := len(e.arena)
	e.arena = appendHead(e.arena, subject, h)
	return e.arena[start:], nil
}

// bare is the head without headers. It checks a subject once.
func (e *encoder) bare(subject string) ([]byte, error) {
	if e.head != nil && subject == e.subject {
		return e.head, nil
	}
	head, ok := e.known[subject]
	if !ok {
		if err := topic.CheckSubject(subject); err != nil {
			return nil, err
		}
		if e.known == nil || len(e.known) >= maxHeads {
			e.known = map[string][]byte{}
		}
		head = appendHead(nil, subject, topic.Headers{})
		e.known[subject] = head
	}
	e.subject, e.head = subject, head
	return head, nil
}
