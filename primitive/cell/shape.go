// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"strings"

	"github.com/parley-ipc/parley/fault"
)

// MaxSize is the largest value in bytes. A larger one belongs into a segment
// of its own, with a cell that says which segment is the latest.
const MaxSize = 64 << 10

// shape is what two programs must agree on about T to share a cell of it.
type shape struct {
	size, align int
	text        string   // a line for each field: offset, path, kind
	masks       []uint64 // the bits of each word that mean something; nil: all
}

func (s *shape) hash() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.text)) // it cannot fail
	return h.Sum64()
}

func shapeOf(t reflect.Type) (*shape, error) {
	if why := refuse(t, ""); why != nil {
		return nil, fault.New(fault.Invalid, "make cell of", t.String(), why).WithHint("use numbers, bools, and arrays and structs of them")
	}
	if t.Size() == 0 {
		return nil, fault.New(fault.Invalid, "make cell of", t.String(), fmt.Errorf("the type has no bytes"))
	}
	if t.Size() > MaxSize {
		return nil, fault.New(fault.TooLarge, "make cell of", t.String(), fmt.Errorf("%d bytes, at most %d", t.Size(), MaxSize)).
			WithHint("put large values into segments, and the latest segment's name into a cell")
	}
	d := description{mask: make([]byte, roundUp(int(t.Size()), 8))}
	d.add(t, 0, "")
	return &shape{size: int(t.Size()), align: t.Align(), text: d.text.String(), masks: d.masks(int(t.Size()))}, nil
}

// refuse names the first field whose bits mean nothing in another process.
// It looks at elements of empty arrays and at blank fields, too.
func refuse(t reflect.Type, path string) error {
	switch k := t.Kind(); k {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return nil
	case reflect.Array:
		return refuse(t.Elem(), path+"[]")
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if err := refuse(f.Type, under(path, f.Name)); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("%s is a %s (%s), which means nothing in another process", named(path), t, k)
	}
}

func under(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

func named(path string) string {
	if path == "" {
		return "value"
	}
	return path
}

// description collects a shape's lines, and a byte of mask for each of T's.
type description struct {
	text strings.Builder
	mask []byte
}

func (d *description) add(t reflect.Type, at int, path string) {
	size := int(t.Size())
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			where := at + int(f.Offset)
			if f.Name == "_" { // the compiler need not copy it, so its bytes mean nothing
				fmt.Fprintf(&d.text, "%d %s %d bytes\n", where, under(path, "_"), f.Type.Size())
				continue
			}
			d.add(f.Type, where, under(path, f.Name))
		}
	case reflect.Array:
		fmt.Fprintf(&d.text, "%d %s %d of %d bytes\n", at, named(path), t.Len(), t.Elem().Size())
		if size == 0 {
			return
		}
		d.add(t.Elem(), at, path+"[]")
		first := d.mask[at : at+int(t.Elem().Size())]
		for i := len(first); i < size; i += len(first) {
			copy(d.mask[at+i:], first)
		}
	default:
		fmt.Fprintf(&d.text, "%d %s %s%d\n", at, named(path), family(t.Kind()), size*8)
		bits := byte(math.MaxUint8)
		if t.Kind() == reflect.Bool {
			bits = 1
		}
		for i := range size {
			d.mask[at+i] = bits
		}
	}
}

// family is the kind without its size: int on one machine is int64 on another.
func family(k reflect.Kind) string { return strings.TrimRight(k.String(), "0123456789") }

// masks returns the mask as words, or nil if every bit of T counts.
func (d *description) masks(size int) []uint64 {
	all := true
	for _, b := range d.mask[:size] {
		all = all && b == math.MaxUint8
	}
	if all {
		return nil
	}
	ws := make([]uint64, len(d.mask)/8)
	for i := range ws {
		ws[i] = binary.NativeEndian.Uint64(d.mask[i*8:])
	}
	return ws
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
