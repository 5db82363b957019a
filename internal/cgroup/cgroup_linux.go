// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// tree is one mounted hierarchy and our place in it.
type tree struct {
	mount string // where it is mounted
	dirs  []string
	v2    bool
}

// find locates our groups once: a process is rarely moved, and then the old
// limits are as good a guess as any.
var find = sync.OnceValue(func() map[string]tree {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return locate(groups, mounts)
})

// locate joins /proc/self/cgroup and /proc/self/mountinfo into one tree for
// each controller; that of version 2 has the name "".
func locate(groups, mounts []byte) map[string]tree {
	paths := map[string]string{}
	for line := range bytes.Lines(groups) {
		parts := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, controller := range strings.Split(parts[1], ",") {
			paths[controller] = parts[2]
		}
	}
	trees := map[string]tree{}
	sc := bufio.NewScanner(bytes.NewReader(mounts))
	for sc.Scan() {
		before, after, ok := strings.Cut(sc.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		root, mount := left[3], left[4]
		switch right[0] {
		case "cgroup2":
			trees[""] = tree{mount, ancestors(mount, root, paths[""]), true}
		case "cgroup":
			for _, controller := range strings.Split(right[2], ",") {
				if path, ok := paths[controller]; ok {
					trees[controller] = tree{mount, ancestors(mount, root, path), false}
				}
			}
		}
	}
	return trees
}

// ancestors lists the directories of a group and of all above it that the
// mount shows, innermost first.
func ancestors(mount, root, path string) []string {
	rel, err := filepath.Rel(root, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		rel = "." // the mount shows only what is inside our namespace
	}
	var dirs []string
	for ; rel != "."; rel = filepath.Dir(rel) {
		dirs = append(dirs, filepath.Join(mount, rel))
	}
	return append(dirs, mount)
}

// CPUQuota is the number of processors that our groups may use together on
// average, and whether any limit is set.
func CPUQuota() (cpus float64, limited bool) {
	cpus = math.Inf(1)
	trees := find()
	for _, dir := range trees["cpu"].dirs {
		quota, ok1 := number(filepath.Join(dir, "cpu.cfs_quota_us"))
		period, ok2 := number(filepath.Join(dir, "cpu.cfs_period_us"))
		if ok1 && ok2 && quota > 0 && period > 0 {
			cpus = min(cpus, float64(quota)/float64(period))
		}
	}
	for _, dir := range trees[""].dirs {
		if q, ok := parseMax(read(filepath.Join(dir, "cpu.max"))); ok {
			cpus = min(cpus, q)
		}
	}
	return cpus, !math.IsInf(cpus, 1)
}

// parseMax reads "QUOTA PERIOD" or "max PERIOD".
func parseMax(s string) (float64, bool) {
	fields := strings.Fields(s)
	if len(fields) != 2 {
		return 0, false
	}
	quota, err1 := strconv.ParseFloat(fields[0], 64)
	period, err2 := strconv.ParseFloat(fields[1], 64)
	return quota / period, err1 == nil && err2 == nil && period > 0 && quota > 0
}

// Throttled is how often our groups have been stopped for want of quota.
func Throttled() (times int64) {
	trees := find()
	for _, name := range []string{"cpu", ""} {
		for _, dir := range trees[name].dirs {
			n, _ := field(read(filepath.Join(dir, "cpu.stat")), "nr_throttled")
			times += n
		}
	}
	return times
}

// MemoryFree is how many bytes our groups may still allocate before the
// kernel reclaims anything but clean file pages, and whether a limit is set.
func MemoryFree() (bytes int64, limited bool) {
	bytes = math.MaxInt64
	trees := find()
	for _, dir := range trees["memory"].dirs {
		if free, ok := free(dir, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "total_active_file"); ok {
			bytes = min(bytes, free)
		}
	}
	for _, dir := range trees[""].dirs {
		if free, ok := free(dir, "memory.max", "memory.current", "inactive_file", "active_file"); ok {
			bytes = min(bytes, free)
		}
	}
	return bytes, bytes != math.MaxInt64
}

// unlimited is above any memory: version 1 writes "no limit" as about 2^63.
const unlimited = 1 << 60

func free(dir, limitFile, usageFile, inactive, active string) (int64, bool) {
	limit, ok := number(filepath.Join(dir, limitFile))
	if !ok || limit >= unlimited {
		return 0, false
	}
	usage, ok := number(filepath.Join(dir, usageFile))
	if !ok {
		return 0, false
	}
	stat := read(filepath.Join(dir, "memory.stat"))
	a, _ := field(stat, inactive)
	b, _ := field(stat, active)
	return limit - usage + a + b, true
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(b)
}

func number(path string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(read(path)), 10, 64)
	return n, err == nil
}

func field(stat, name string) (int64, bool) {
	for line := range strings.Lines(stat) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == name {
			n, err := strconv.ParseInt(value, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
