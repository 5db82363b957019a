// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/parley-ipc/parley/fault"
)

// TestEntryLayout pins version 1 of docs/formats/endpoint.md.
func TestEntryLayout(t *testing.T) {
	for _, row := range []struct {
		what      string
		got, want int
	}{
		{"size", entrySize, 4096}, {"version", offVersion, 8}, {"count", offCount, 12},
		{"started", offStarted, 16}, {"pid", offPID, 24}, {"uid", offUID, 28}, {"boot", offBoot, 32},
		{"scheme", offScheme, 48}, {"counters", offCounters, 64}, {"flags", offFlags, 576},
		{"address", offAddress, 1024}, {"executable", offExe, 2048},
		{"life byte", lifeByte, 0}, {"change byte", changeByte, 1},
		{"size of Counters", int(unsafe.Sizeof(Counters{})), 13 * 8}, {"count of Counters", numCounters, 13},
	} {
		if row.got != row.want {
			t.Errorf("%s is %d, want %d", row.what, row.got, row.want)
		}
	}
	order := []string{
		"Accepted", "Closed", "Denied", "Failed", "BytesIn", "BytesOut", "FilesIn", "FilesOut",
		"Spins", "Sleeps", "Wakes", "Fallbacks", "SafetyTimeouts",
	}
	counters := reflect.TypeFor[Counters]()
	for i, name := range order {
		f, ok := counters.FieldByName(name)
		if !ok || f.Offset != uintptr(8*i) {
			t.Errorf("counter %s is at offset %d of the row, want %d", name, f.Offset, 8*i)
		}
	}
}

func TestSnapshotMirrorsCounters(t *testing.T) {
	counters, snapshot := reflect.TypeFor[Counters](), reflect.TypeFor[Snapshot]()
	if counters.NumField() != snapshot.NumField() {
		t.Fatalf("Counters has %d fields, Snapshot %d", counters.NumField(), snapshot.NumField())
	}
	var e entry
	for i := range numCounters {
		e.counters[i] = uint64(100 + i)
	}
	got := reflect.ValueOf(e.snapshot())
	for i := range counters.NumField() {
		f := counters.Field(i)
		if v := got.FieldByName(f.Name); !v.IsValid() || v.Uint() != uint64(100+f.Offset/8) {
			t.Errorf("Snapshot.%s is %v, want counter %d", f.Name, v, f.Offset/8)
		}
	}
}

func sampleEntry() entry {
	return entry{
		started: time.Unix(1700000000, 42), pid: 1234, uid: 1000, flags: flagInherited, boot: [16]byte{1, 15: 16},
		scheme: SHM, address: "shm://orders", executable: "/usr/bin/orders",
	}
}

func TestEntryRoundTrip(t *testing.T) {
	want := sampleEntry()
	b := want.encode()
	if _, err := decodeEntry(b); !errors.Is(err, errHalfWritten) {
		t.Errorf("without its magic: %v, want half-written", err)
	}
	copy(b, entryMagic)
	got, err := decodeEntry(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("read %+v, wrote %+v", *got, want)
	}
}

func TestEntryBroken(t *testing.T) {
	e := sampleEntry()
	good := e.encode()
	copy(good, entryMagic)
	with := func(off int, patch string) []byte {
		b := bytes.Clone(good)
		copy(b[off:], patch)
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		kind fault.Kind
		why  string
	}{
		"empty":       {nil, fault.Protocol, "half-written"},
		"short":       {good[:entrySize-1], fault.Protocol, "no entry"},
		"zeros":       {make([]byte, entrySize), fault.Protocol, "half-written"},
		"junk":        {bytes.Repeat([]byte("x"), entrySize), fault.Protocol, "no entry"},
		"version":     {with(offVersion, "\xff\xff"), fault.Unsupported, "version 65535"},
		"long text":   {with(offAddress, "\xff\xff"), fault.Protocol, "65535"},
		"one too far": {with(offExe, "\xff\x03"), fault.Protocol, "1023"},
	} {
		_, err := decodeEntry(c.b)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %v and %q", name, err, c.kind, c.why)
		}
	}
	if _, err := decodeEntry(with(offCount, "\xff\xff\xff\xff")); err != nil {
		t.Errorf("more counters than there is room for: %v", err)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	e := sampleEntry()
	b := e.encode()
	f.Add(b)
	copy(b, entryMagic)
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Protocol && k != fault.Unsupported {
				t.Errorf("kind %v of %v", k, err)
			}
			return
		}
		again := e.encode()
		copy(again, entryMagic)
		e2, err := decodeEntry(again)
		if err != nil {
			t.Fatal(err)
		}
		e2.counters = e.counters // encode leaves them to the owner
		if !reflect.DeepEqual(e, e2) && len(e.scheme) <= offCounters-offScheme {
			t.Errorf("read %+v, then %+v", e, e2)
		}
	})
}
