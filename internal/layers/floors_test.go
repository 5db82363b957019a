// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"fmt"
	"path"
	"slices"
)

// floors lists the packages from the bottom up. A package imports only from
// floors below its own: not from above, and not a sibling on its own floor.
// A pattern is a directory from the module's root as path.Match understands
// it. A new folder takes its place here before it imports anything.
var floors = [][]string{
	{"fault", "proto/*/*"},
	{"internal/proctest"}, // any test may need it
	{"internal/layers", "internal/loglines", "internal/startfail", "internal/cgroup", "internal/futex", "internal/boot", "internal/waitfd", "internal/model"},
	{"internal/wake", "internal/rundir"},
	{"auth"},

	// Primitives, two floors: kernel objects, then structures over bytes. A
	// lock on a file lies below the rest, since it proves that others live.
	{"primitive/filelock"},
	{"primitive/shm", "primitive/process", "primitive/fdpass", "primitive/mqueue", "primitive/sysv", "primitive/fifo"},
	{"primitive/ring", "primitive/broadcast", "primitive/cell", "primitive/procsync"},

	{"endpoint", "policy"},
	{"policy/file", "auth/*"},

	// The contract of a connection, and mechanism that backends share.
	{"transport"},
	{"internal/sockdiag"},
	{"internal/tcpnet", "internal/unixconn", "internal/activation"},
	{"internal/busypoll"},
	{"internal/turns"},
	{"internal/acceptor"},
	{"internal/stock"},
	{"transport/transporttest"},
	{"transport/*"},
	{"message", "notify"},
	{"message/frame"},
	{"."},

	// Calls, then children that can be called.
	{"internal/rpcwire"},
	{"internal/rpctest"},
	{"rpc"},
	{"child"},

	// The contracts of services, then the engines behind them.
	{"queue", "topic", "lease", "kv"},
	{"topic/topictest"},
	{"engine/*"},
	{"engine"},

	{"internal/relay", "internal/transfer", "internal/measure", "internal/inventory", "internal/schema"},
	{"internal/peer"},
	{"internal/demo"},
	{"examples/*"},
	{"cmd/*"},
}

// exception excuses one import that breaks the order.
type exception struct{ from, to, why string }

// floorExceptions hold for a whole package, tests included.
var floorExceptions = []exception{}

// testExceptions hold for the tests of a package only.
var testExceptions = []exception{
	{"primitive/shm", "primitive/ring", "the example puts a ring into a segment, which is what one is for"},
	{"transport/transporttest", "transport/inproc", "the suite is shown to pass on a backend, and to fail on it once broken"},
	{"transport/transporttest", "transport/unix", "the same, with two processes and files"},
}

// floorOf returns the floor of dir: the first that names it exactly, else the
// first that matches it, else -1.
func floorOf(dir string) int {
	exact := slices.IndexFunc(floors, func(names []string) bool { return slices.Contains(names, dir) })
	if exact >= 0 {
		return exact
	}
	return slices.IndexFunc(floors, func(names []string) bool {
		return slices.ContainsFunc(names, func(pattern string) bool {
			ok, _ := path.Match(pattern, dir)
			return ok
		})
	})
}

// importsPointDown is rule 2 of the house.
func importsPointDown(tr *tree) []string {
	used := map[exception]bool{}
	var bad []string
	for _, f := range tr.goFiles() {
		if floorOf(f.dir()) < 0 {
			bad = append(bad, f.path+": its folder has no floor: give it one in floors_test.go")
			continue
		}
		for _, imported := range f.imports() {
			to := tr.own(imported)
			if to == "" || to == f.dir() || floorOf(to) >= 0 && floorOf(to) < floorOf(f.dir()) {
				continue
			}
			if e, ok := excused(f, to); ok {
				used[e] = true
				continue
			}
			bad = append(bad, fmt.Sprintf("%s: imports %s, which is not below it", f.path, to))
		}
	}
	return append(bad, idle(slices.Concat(floorExceptions, testExceptions), used)...)
}

func excused(f file, to string) (exception, bool) {
	match := func(e exception) bool { return e.from == f.dir() && e.to == to }
	if i := slices.IndexFunc(floorExceptions, match); i >= 0 {
		return floorExceptions[i], true
	}
	if i := slices.IndexFunc(testExceptions, match); i >= 0 && f.isTest() {
		return testExceptions[i], true
	}
	return exception{}, false
}

// idle names the exceptions that excused nothing.
func idle(table []exception, used map[exception]bool) []string {
	var bad []string
	for _, e := range table {
		if !used[e] || e.why == "" {
			bad = append(bad, fmt.Sprintf("the exception for %s → %s is not used or has no reason: remove it", e.from, e.to))
		}
	}
	return bad
}
