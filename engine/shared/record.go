// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"encoding/binary"
	"fmt"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/topic"
)

// An item is one record of the ring:
//
//	offset  field
//	     0  subject  u16  its length
//	     2  zero     u16
//	     4  headers  u32  their length
//	     8  subject, headers, padding to a multiple of 8, data
//
// Records start at multiples of 8, so the data does too.
const prefixSize = 8

// maxPrefix is what an item's record holds at most beside headers and data.
const maxPrefix = prefixSize + topic.MaxSubject + 7

// dataOffset is where the data starts in a record.
func dataOffset(subject, headers int) int { return (prefixSize + subject + headers + 7) &^ 7 }

// appendHead encodes all of a record but the data.
func appendHead(b []byte, subject string, h topic.Headers) []byte {
	raw := h.Bytes()
	end := len(b) + dataOffset(len(subject), len(raw))
	b = binary.NativeEndian.AppendUint16(b, uint16(len(subject)))
	b = append(b, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(raw)))
	b = append(append(b, subject...), raw...)
	for len(b) < end {
		b = append(b, 0)
	}
	return b
}

// record is a record taken apart: slices of what it was read from.
type record struct{ subject, headers, data []byte }

// cutRecord takes a record apart that anybody may have written.
func cutRecord(b []byte) (record, error) {
	if len(b) < prefixSize {
		return record{}, malformed(len(b))
	}
	prefix := [prefixSize]byte(b) // once: b may be where the publisher can still write
	s := int(binary.NativeEndian.Uint16(prefix[:]))
	h := uint64(binary.NativeEndian.Uint32(prefix[4:]))
	if s == 0 && h == 0 {
		return record{data: b[prefixSize:]}, nil
	}
	if s > topic.MaxSubject || h > topic.MaxHeaders || dataOffset(s, int(h)) > len(b) {
		return record{}, malformed(len(b))
	}
	at := prefixSize + s
	return record{subject: b[prefixSize:at:at], headers: b[at : at+int(h) : at+int(h)], data: b[dataOffset(s, int(h)):]}, nil
}

// subjectOf is the subject in the first bytes of a record.
func subjectOf(head []byte) ([]byte, bool) {
	if len(head) < prefixSize {
		return nil, false
	}
	s := int(binary.NativeEndian.Uint16(head))
	if s > topic.MaxSubject || prefixSize+s > len(head) {
		return nil, false
	}
	return head[prefixSize : prefixSize+s], true
}

func malformed(n int) error {
	return fault.New(fault.Protocol, "receive", "", fmt.Errorf("the publisher's record of %d bytes is no item", n))
}
