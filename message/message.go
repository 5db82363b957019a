// SPDX-License-Identifier: Apache-2.0

package message

import (
	"os"
	"sync"

	"github.com/parley-ipc/parley/primitive/shm"
)

// firstLoan bounds what a header alone can make us allocate: the rest of a
// larger message is allocated as it arrives.
const firstLoan = 1 << 20

// Message is a received message. It belongs to whoever received it and is not
// safe for use by several goroutines at once.
type Message struct {
	buf   buffer // kept from use to use
	loan  *Conn  // whose reader is locked, and lends the bytes in place
	live  bool   // not released
	size  int    // announced; len(buf.b) once it is whole
	got   int    // bytes that have arrived
	files []*os.File
	mem   *shm.Memory // nil if none came, or it is claimed
}

// messages are pooled with their buffers, by the buffer's class.
var messages [maxClass + 1]sync.Pool

func newMessage(size int, files []*os.File) *Message {
	n := min(size, firstLoan)
	k := class(n)
	m, ok := messages[k].Get().(*Message)
	if !ok {
		m = &Message{buf: buffer{make([]byte, 1<<k)}}
	}
	m.buf.b = m.buf.b[:n]
	m.live, m.size, m.got, m.files = true, size, 0, files
	return m
}

// room returns where the next bytes of the payload go; it is empty when the
// message is whole.
func (m *Message) room() []byte {
	if m.got == len(m.buf.b) && m.got < m.size {
		n := min(m.size, 4*len(m.buf.b))
		b := make([]byte, n, capacity(n))
		copy(b, m.buf.b)
		m.buf.b = b
	}
	return m.buf.b[m.got:]
}

// Bytes returns the payload, which is valid until Release.
func (m *Message) Bytes() []byte {
	if !m.live {
		return nil
	}
	return m.buf.b
}

// Files returns the open files that came with the message and makes the
// caller their owner; a second call returns nil.
func (m *Message) Files() []*os.File {
	files := m.files
	m.files = nil
	return files
}

// Memory returns the shared memory that came with the message, nil if none
// did, and makes the caller its owner, who closes it; a second call returns
// nil. It outlives the message and the connection. Its first Bytes maps it and
// can fail; nothing that the peer does afterwards can.
func (m *Message) Memory() *shm.Memory {
	mem := m.mem
	m.mem = nil
	return mem
}

// Release gives the message's own buffer back and closes files and memory that
// nobody has claimed with Files or Memory. It is called once: the Message and its Bytes are somebody else's
// afterwards. A message that is never released is collected like any garbage,
// its files by their finalizers.
func (m *Message) Release() {
	if !m.live {
		return
	}
	m.live = false
	if m.files != nil {
		closeFiles(m.files)
		m.files = nil
	}
	if m.mem != nil {
		_ = m.mem.Close()
		m.mem = nil
	}
	if m.loan != nil {
		m.loan.r.giveBack(len(m.buf.b))
		m.loan, m.buf.b = nil, nil
		return
	}
	if k := class(cap(m.buf.b)); k <= maxClass && cap(m.buf.b) == 1<<k {
		messages[k].Put(m)
	}
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
