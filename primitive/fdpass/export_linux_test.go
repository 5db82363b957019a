// SPDX-License-Identifier: Apache-2.0

package fdpass

import "golang.org/x/sys/unix"

// ParseForTest runs the decoder on hostile bytes. The descriptors in them are
// made-up numbers, so they are bent to ones that are surely not open before
// the files are made, and closing them does no harm.
func ParseForTest(oob []byte) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		if _, err := parse(oob); len(oob) > 0 && err == nil {
			panic("parse accepts what the system's own decoder refuses")
		}
		return
	}
	for i := range messages {
		for j := 0; j+4 <= len(messages[i].Data); j += 4 {
			messages[i].Data[j+3] |= 0x40
		}
	}
	files, _ := parse(oob)
	closeAll(files)
}
