// SPDX-License-Identifier: Apache-2.0

package demo

import "github.com/parley-ipc/parley/endpoint"

// sections is everything that the demonstration shows, in order.
func sections() []section {
	return []section{
		{
			name: "connect",
			tables: []table{
				{
					{"bytes", "both ways at once", "8 MiB, SHA-256"},
					{"awake", "round trip, 64 B", "p50 / p99"},
					{"slept", "after both slept", "p50 / p99"},
					{"throughput", "one way", "64 KiB writes"},
					{"files", "open files", "one each way"},
				},
				{
					{"identity", "the peer is to us ⇄ we are to the peer", ""},
					{"stranger", "a stranger comes", ""},
					{"killed", "the peer is killed (-9)", ""},
				},
			},
			rows: []mechanism{
				connecting(endpoint.Inproc),
				connecting(endpoint.SHM),
				connecting(endpoint.Unix),
				connecting(endpoint.TCP),
				connecting(endpoint.TLS),
				connecting(endpoint.FIFO),
				connecting(endpoint.Exec),
			},
		},
		{
			name:   "call",
			tables: shownTables,
			rows: []mechanism{
				calling("unary call", unaryCalls),
				calling("stream of answers", serverStream),
				calling("stream of requests", clientStream),
				calling("streams both ways", bothStreams),
				calling("deadline", deadlineCall),
				calling("cancellation", cancelled),
				calling("call back", callBack),
				calling("open file", passedFile),
				calling("grpc-go client", stockClient),
				calling("refused method", refusedMethod),
			},
		},
		{
			name:   "broadcast",
			tables: shownTables,
			rows: []mechanism{
				shown("topic by policy", everybody),
				shown("topic of frames", frames),
				shown("topic and kill -9", successor),
			},
		},
		{
			name:   "synchronise",
			tables: shownTables,
			rows: []mechanism{
				shown("lock and kill -9", lockOfTheDead),
				shown("semaphore", permitOfTheDead),
				shown("barrier", barrierOfThree),
				shown("signal with a value", signalled),
				shown("supervised restart", restart),
			},
		},
		{
			name:   "kernel",
			tables: shownTables,
			rows: []mechanism{
				shown("message queue", queued),
				shown("splice", spliced),
			},
		},
	}
}
