// SPDX-License-Identifier: Apache-2.0

//go:build race

package procsync

import (
	"runtime"
	"unsafe"
)

// handedOver stands for all objects: the race detector knows nothing of mapped
// memory, so it is told that what came before a lock was given back is known to
// whoever gets one after.
var handedOver byte

func handOver() { runtime.RaceReleaseMerge(unsafe.Pointer(&handedOver)) }

func takeOver() { runtime.RaceAcquire(unsafe.Pointer(&handedOver)) }
