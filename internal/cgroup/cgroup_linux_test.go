// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"reflect"
	"testing"
)

func TestLocate(t *testing.T) {
	groups := "4:memory:/a/b\n3:cpu,cpuacct:/x\n1:name=systemd:/\n0::/u/s\nnonsense\n"
	mounts := "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n" +
		"32 31 0:29 / /cg/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct\n" +
		"35 31 0:32 /a /cg/memory rw - cgroup cgroup rw,memory\n" +
		"41 31 0:38 /other /cg/unified rw - cgroup2 cgroup2 rw\n" +
		"short line\n"
	got := locate([]byte(groups), []byte(mounts))
	want := map[string]tree{
		"cpu":     {"/cg/cpu,cpuacct", []string{"/cg/cpu,cpuacct/x", "/cg/cpu,cpuacct"}, false},
		"cpuacct": {"/cg/cpu,cpuacct", []string{"/cg/cpu,cpuacct/x", "/cg/cpu,cpuacct"}, false},
		"memory":  {"/cg/memory", []string{"/cg/memory/b", "/cg/memory"}, false},
		"":        {"/cg/unified", []string{"/cg/unified"}, true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestParseMax(t *testing.T) {
	for s, want := range map[string]float64{"150000 100000\n": 1.5, "50000 100000": 0.5} {
		if got, ok := parseMax(s); !ok || got != want {
			t.Errorf("%q: %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"max 100000", "", "1", "0 100000", "1 0", "a b"} {
		if got, ok := parseMax(s); ok {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestField(t *testing.T) {
	if n, ok := field("nr_periods 5\nnr_throttled 7\n", "nr_throttled"); n != 7 || !ok {
		t.Errorf("%d, %v", n, ok)
	}
	if _, ok := field("nr_throttled_not 7\n", "nr_throttled"); ok {
		t.Error("another field was taken")
	}
}

// Whatever this machine's limits are, reading them gives something sane.
func TestHere(t *testing.T) {
	if cpus, limited := CPUQuota(); limited && cpus <= 0 {
		t.Errorf("a quota of %v", cpus)
	}
	if free, limited := MemoryFree(); limited && free < -1<<40 {
		t.Errorf("%d bytes free", free)
	}
	if n := Throttled(); n < 0 {
		t.Errorf("throttled %d times", n)
	}
}
