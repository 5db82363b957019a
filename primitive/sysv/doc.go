// SPDX-License-Identifier: Apache-2.0

// Package sysv reaches the System V message queues, semaphores and shared
// memory of programs that use them.
//
// They have numbers, not names, and stay until somebody removes them, whoever
// dies. It lists them, talks through their queues, reads semaphores and memory
// and removes what is left over; a new program is better served by mqueue,
// procsync and shm.
package sysv
