// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/parley-ipc/parley/fault"
	"github.com/parley-ipc/parley/primitive/cell"
)

type inner struct {
	Fine  int32
	Names [2]string
}

func refused[T any](t *testing.T, kind fault.Kind, part string) {
	t.Helper()
	_, err := cell.Size[T]()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), part) {
		t.Errorf("%T: %v, want %q", *new(T), err, part)
	}
	if _, other := cell.New[T](make([]byte, 1<<20), cell.Config{}); other == nil || other.Error() != err.Error() {
		t.Errorf("%T: New says %v", *new(T), other)
	}
	if _, other := cell.Open[T](make([]byte, 1<<20), cell.Config{}); other == nil || other.Error() != err.Error() {
		t.Errorf("%T: Open says %v", *new(T), other)
	}
}

func TestRefusedTypes(t *testing.T) {
	refused[*int](t, fault.Invalid, "value is a *int (ptr)")
	refused[string](t, fault.Invalid, "value is a string")
	refused[[]byte](t, fault.Invalid, "(slice)")
	refused[map[int]int](t, fault.Invalid, "(map)")
	refused[chan int](t, fault.Invalid, "(chan)")
	refused[func()](t, fault.Invalid, "(func)")
	refused[error](t, fault.Invalid, "(interface)")
	refused[uintptr](t, fault.Invalid, "(uintptr)")
	refused[struct{ A, B *int }](t, fault.Invalid, "A is a *int")
	refused[struct{ Deep [3]struct{ In inner } }](t, fault.Invalid, "Deep[].In.Names[] is a string")
	refused[struct {
		_ [0]func()
		A int
	}](t, fault.Invalid, "_[] is a func()")
	refused[struct{}](t, fault.Invalid, "no bytes")
	refused[[0]int](t, fault.Invalid, "no bytes")
	refused[[cell.MaxSize + 1]byte](t, fault.TooLarge, "65537 bytes, at most 65536")
}

type quote struct {
	Bid, Ask float64
	Live     bool
	_        [3]byte
	Size     uint32
	Levels   [2]struct {
		Price int64
		Count uint16
	}
}

// opened makes a cell of W and opens it as one of R.
func opened[W, R any](t *testing.T) error {
	t.Helper()
	mem := make([]byte, 1<<18)
	if _, err := cell.New[W](mem, cell.Config{}); err != nil {
		t.Fatal(err)
	}
	_, err := cell.Open[R](mem, cell.Config{})
	return err
}

func TestAnotherType(t *testing.T) {
	type same struct { // another name, the same fields
		Bid, Ask float64
		Live     bool
		_        [3]byte
		Size     uint32
		Levels   [2]struct {
			Price int64
			Count uint16
		}
	}
	if err := opened[quote, same](t); err != nil {
		t.Errorf("the same fields: %v", err)
	}
	for part, err := range map[string]error{
		`"B int32" at "4", ours has 8 bytes with "C int32"`:                       opened[struct{ A, B int32 }, struct{ A, C int32 }](t),
		`"A int32" at "0", ours has 4 bytes with "A uint32"`:                      opened[struct{ A int32 }, struct{ A uint32 }](t),
		`16 bytes with "B int64" at "8", ours has 8 bytes with no further field`:  opened[struct{ A, B int64 }, struct{ A int64 }](t),
		`8 bytes with no further field, ours has 16 bytes with "B int64" at "8"`:  opened[struct{ A int64 }, struct{ A, B int64 }](t),
		`"value 4 of 2 bytes" at "0", ours has 8 bytes with "value 8 of 1 bytes"`: opened[[4]int16, [8]int8](t),
		`"B.D int8"`: opened[struct {
			A int8
			B struct{ C, D int8 }
		}, struct {
			A int8
			B struct{ C, E int8 }
		}](t),
	} {
		if !errors.Is(err, fault.Protocol) || !strings.Contains(err.Error(), part) {
			t.Errorf("got  %v\nwant %s", err, part)
		}
	}
}

// What lies in a hole of the value, or in a bool beside its one bit, does not
// reach the other side.
func TestHolesAreEmpty(t *testing.T) {
	w, r := pair[quote](t, cell.Config{}, 0)
	dirty := quote{}
	for i, b := 0, cell.Bytes(&dirty); i < len(b); i++ {
		b[i] = 0xff
	}
	w.Set(dirty)
	v, _, _ := r.Get()
	want := quote{Bid: dirty.Bid, Ask: dirty.Ask, Live: true, Size: dirty.Size, Levels: dirty.Levels}
	got := cell.Bytes(&v)
	if got[16] != 1 || v.Size != want.Size || v.Levels[1].Count != 0xffff || v.Levels[0].Price != -1 {
		t.Errorf("%x", got)
	}
	hole := int(unsafe.Offsetof(v.Levels) + unsafe.Offsetof(v.Levels[0].Count) + 2)
	for _, i := range []int{17, 18, 19, hole, hole + 1, len(got) - 1} {
		if got[i] != 0 {
			t.Errorf("byte %d is %#x: %x", i, got[i], got)
		}
	}
}
