// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"fmt"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/broadcast"
	"github.com/parley-ipc/parley/topic"
)

// maxHeads bounds how many subjects' encodings are remembered.
const maxHeads = 1024

// encoder makes records of messages, without allocating once it is warm.
type encoder struct {
	maxData int // immutable, as is limit
	limit   int // bytes that records of one group take in the ring, unless it is one

	heads [][]byte // of one group
	arena []byte   // heads with headers of their own

	known   map[string][]byte // heads without headers, by subject, which has been checked
	subject string            // the last one, and its head
	head    []byte
}

// group is messages that go together.
type group struct {
	n     int // how many
	size  int // that their records take in the ring
	bytes int // of headers and data
}

// add says whether there is room for one more, with so many bytes beside the
// head's.
func (g *group) add(head, data, extra, limit int) bool {
	size := broadcast.RecordSize(head + data)
	if g.n > 0 && g.size+size > limit {
		return false
	}
	g.n, g.size, g.bytes = g.n+1, g.size+size, g.bytes+data+extra
	return true
}

// alike are the first messages that have the newest subject and no headers.
// It is where a fast publisher spends its time.
func (e *encoder) alike(ms []topic.Message) (g group) {
	if e.head == nil {
		return g
	}
	for i := range ms {
		m := &ms[i]
		if m.Subject != e.subject || len(m.Headers.Bytes()) > 0 || len(m.Data) > e.maxData || !g.add(len(e.head), len(m.Data), 0, e.limit) {
			break
		}
	}
	return g
}

// mixed fills heads for the first messages, up to one that cannot be
// published, and says what is wrong with that.
func (e *encoder) mixed(ms []topic.Message) (g group, err error) {
	e.heads, e.arena = e.heads[:0], e.arena[:0]
	for i := range ms {
		m := &ms[i]
		extra := len(m.Headers.Bytes())
		if extra+len(m.Data) > e.maxData {
			return g, tooLarge(extra+len(m.Data), e.maxData)
		}
		head, err := e.headOf(m.Subject, m.Headers)
		if err != nil || !g.add(len(head), len(m.Data), extra, e.limit) {
			return g, err
		}
		e.heads = append(e.heads, head)
	}
	return g, nil
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
