// SPDX-License-Identifier: Apache-2.0

// Package mqueue is the kernel's POSIX message queues, without cgo.
//
// They are those of mq_open(3): a C program that uses librt sends to and
// receives from the same queue. A queue lives until it is unlinked or the
// machine restarts, whoever dies; a message is whole or not there, and those
// of a higher priority come first. Waiting goes through Go's poller and holds
// no thread. Each IPC namespace has queues of its own.
package mqueue
