// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"strconv"
	"strings"
)

// socket is a line of /proc/net/unix.
type socket struct {
	inode     uint64
	kind      string // stream, datagram or seqpacket
	listens   bool
	connected bool   // or about to be accepted
	name      string // "" for none; "@…" is abstract
}

var socketKinds = map[string]string{"0001": "stream", "0002": "datagram", "0005": "seqpacket"}

// parseSockets reads /proc/net/unix. Anybody may bind a name with a line feed
// in it, and so make up lines: they are for people to read, no more. What is
// no line of a socket is passed over.
func parseSockets(text string) []socket {
	var all []socket
	for line := range strings.Lines(text) {
		words := strings.SplitN(strings.TrimRight(line, "\n"), ":", 2)
		if len(words) != 2 {
			continue
		}
		fields, name := cutFields(words[1], 6)
		if len(fields) != 6 {
			continue
		}
		flags, ferr := strconv.ParseUint(fields[2], 16, 32)
		inode, ierr := strconv.ParseUint(fields[5], 10, 64)
		kind, known := socketKinds[fields[3]]
		if ferr != nil || ierr != nil || !known {
			continue
		}
		const accepting = 1 << 16 // __SO_ACCEPTCON
		all = append(all, socket{inode: inode, kind: kind, listens: flags&accepting != 0, connected: fields[4] == "03" || fields[4] == "02", name: name})
	}
	return all
}

// cutFields cuts n words off; the rest, without the one space before it, is
// whatever it is.
func cutFields(s string, n int) (fields []string, rest string) {
	for range n {
		s = strings.TrimLeft(s, " ")
		word, after, _ := strings.Cut(s, " ")
		if word == "" {
			return fields, ""
		}
		fields, s = append(fields, word), after
	}
	return fields, s
}
