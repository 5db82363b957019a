// SPDX-License-Identifier: Apache-2.0

package broadcast

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/parley-ipc/parley/primitive/shm"
)

// The offsets of docs/formats/broadcast.md, by number.
func TestLayoutIsPinned(t *testing.T) {
	p := publisher(t, Config{Epoch: 77, Now: func() int64 { return 0x1122334455667788 }}.WithStart(64, 5))
	s := subscribe(t, p, SubscribeConfig{})
	mustPublish(t, p, []byte("first"))
	mustPublish(t, p, []byte("9 bytes.."))
	head := s.m.Head
	for off, want := range map[int]uint64{
		0: 0x314259454c524150, 8: MinRing, 16: 77, 24: 64, 32: 5, 128: 64 + 32 + 40, 136: 64 + 32, 256: 64 + 32 + 40,
	} {
		if got := shm.Uint64(head, off).Load(); got != want {
			t.Errorf("publisher's word at %d is %#x, want %#x", off, got, want)
		}
	}
	if string(head[:8]) != "PARLEYB1" || string(s.cm.Tail[:8]) != "PARLEYC1" {
		t.Errorf("magic %q, %q", head[:8], s.cm.Tail[:8])
	}
	want, _ := hex.DecodeString("0900000020000000" + "0600000000000000" + "8877665544332211" + hex.EncodeToString([]byte("9 bytes..")))
	if got := s.data[96 : 96+33]; !bytes.Equal(got, want) {
		t.Errorf("the second record is\n%x, want\n%x", got, want)
	}
	if _, _, err := s.Next(now()); err != nil {
		t.Fatal(err)
	}
	for off, want := range map[int]uint64{8: 77, 128: 136, 136: 136} {
		if got := shm.Uint64(s.cm.Tail, off).Load(); got != want {
			t.Errorf("control word at %d is %d, want %d", off, got, want)
		}
	}
	mustPublish(t, p, make([]byte, MinRing/8)) // from the first eighth into the second
	if got, end := shm.Uint64(head, 512+8*1).Load(), uint64(136+24+MinRing/8); got != end {
		t.Errorf("the mark of the second eighth is %d, want %d", got, end)
	}
	p.w.sleep.Store(3)
	p.w.until.Store(4)
	_ = p.Close()
	if a, b, c := shm.Uint32(head, 384).Load(), shm.Uint32(head, 388).Load(), shm.Uint64(head, 392).Load(); a != 3 || b != 1 || c != 4 {
		t.Errorf("sleep %d, state %d, until %d", a, b, c)
	}
}
