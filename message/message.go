// SPDX-License-Identifier: Apache-2.0

package message

import (
	"os"
	"sync"
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

// Release gives the memory back and closes files that nobody has claimed with
// Files. It is called once: the Message and its Bytes are somebody else's
// afterwards. A message that is never released is collected like any garbage,
// its files by their finalizers.
func (m *Message) Release() {
	if m.buf == nil {
		return
	}
	closeFiles(m.files)
	putBuffer(m.buf)
	*m = Message{}
	messages.Put(m)
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
