// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// TestHeaderLayout pins docs/formats/segment.md.
func TestHeaderLayout(t *testing.T) {
	h := header{size: 0x1122334455667788, created: time.Unix(0, 0x0102030405060708), kind: "cell", pid: 17, uid: 18, executable: "/bin/x"}
	for i := range h.boot {
		h.boot[i] = byte(i + 1)
	}
	b, n := h.encode(), binary.NativeEndian
	if len(b) != 4096 || n.Uint64(b) != 0 {
		t.Errorf("%d bytes, magic %x: it is written last", len(b), b[:8])
	}
	for name, ok := range map[string]bool{
		"version":    n.Uint32(b[8:]) == 1,
		"header":     n.Uint32(b[12:]) == 4096,
		"size":       n.Uint64(b[16:]) == h.size,
		"created":    n.Uint64(b[24:]) == 0x0102030405060708,
		"boot":       string(b[32:48]) == string(h.boot[:]),
		"kind":       string(b[48:64]) == "cell"+strings.Repeat("\x00", 12),
		"pid":        n.Uint32(b[64:]) == 17,
		"uid":        n.Uint32(b[68:]) == 18,
		"executable": n.Uint16(b[128:]) == 6 && string(b[130:136]) == "/bin/x",
		"locks":      lifeByte == 0 && changeByte == 1 && useByte == 2 && LockBase == 1<<40,
		"magic":      headerMagic == "parleySG",
	} {
		if !ok {
			t.Errorf("%s lies elsewhere", name)
		}
	}
	copy(b, headerMagic)
	h.size = 64
	n.PutUint64(b[16:], h.size)
	got, err := decodeHeader(b, 4096+64)
	if err != nil || got.size != 64 || got.kind != h.kind || got.pid != h.pid || got.uid != h.uid || got.boot != h.boot ||
		got.executable != h.executable || !got.created.Equal(h.created) {
		t.Errorf("read back: %+v, %v", got, err)
	}
	long := header{kind: "cell", size: 1, executable: strings.Repeat("x", 9000)}
	if b := long.encode(); len(b) != 4096 || n.Uint16(b[128:]) != 4096-130 {
		t.Errorf("a long path takes %d of %d bytes", n.Uint16(b[128:]), len(b))
	}
}
