// SPDX-License-Identifier: Apache-2.0

// Package procsync makes processes take turns and wait for each other in
// shared memory, in a way that survives the death of any of them.
//
// A Mutex, RWMutex, Semaphore, Cond, Event or Barrier is some bytes of shared
// memory, named (OpenMutex and its like) or the caller's own (Format, then
// AttachMutex and its like), and a handle on it in each process:
//
//   - The owner is a handle, not a thread: any goroutine may unlock, and any
//     number of goroutines may use one handle.
//   - Every wait takes a context.
//   - Each handle holds a lock on a file, which the kernel drops when its
//     process has ended: that, never a pid or an age, is the proof of a death. What
//     the dead held is given back, and who waits for it is woken at once.
//   - Whoever gets a Mutex after its owner died is told so, with ErrOwnerDied,
//     and has the lock: it repairs what the lock protects and calls
//     MarkConsistent.
//   - Nobody who waits in the queue is passed more than MaxPassed times.
//   - Each acquisition has a token, larger than all before it, by which a
//     store can refuse whoever was stopped and believes that it still holds
//     the lock. (Readers beside each other may share one.) Tokens begin anew
//     when the object is made anew, after Remove or a restart of the machine.
//
// Whoever may write the memory can spoil the object, and keep everybody
// waiting until their contexts end; it cannot make another process panic or
// read out of range. docs/formats/procsync.md describes the bytes.
package procsync
