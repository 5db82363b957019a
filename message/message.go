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
	buf   *buffer // nil once released
	size  int     // announced; len(buf.b) once it is whole
	got   int     // bytes that have arrived
	files []*os.File
	mem   *shm.Memory // nil if none came, or it is claimed
}

var messages = sync.Pool{New: func() any { return new(Message) }}

func newMessage(size int, files []*os.File) *Message {
	m := messages.Get().(*Message)
	*m = Message{buf: getBuffer(min(size, firstLoan)), size: size, files: files}
	return m
}

// room returns where the next bytes of the payload go; it is empty when the
// message is whole.
func (m *Message) room() []byte {
	if m.got == len(m.buf.b) && m.got < m.size {
		b := getBuffer(min(m.size, 4*len(m.buf.b)))
		copy(b.b, m.buf.b)
		putBuffer(m.buf)
		m.buf = b
	}
	return m.buf.b[m.got:]
}

// Bytes returns the payload, which is valid until Release.
func (m *Message) Bytes() []byte {
	if m.buf == nil {
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
	if m.buf == nil {
		return
	}
	closeFiles(m.files)
	if m.mem != nil {
		_ = m.mem.Close()
	}
	putBuffer(m.buf)
	*m = Message{}
	messages.Put(m)
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
