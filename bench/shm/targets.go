// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/bench/internal/report"
)

// Names of subjects that targets speak of.
const (
	slot       = "C slot"
	ring       = "C ring"
	goFutex    = "Go futex pair"
	netUnix    = "Go net, unix"
	iceoryx    = "iceoryx"
	coreNATS   = "NATS"
	parleyShm  = "Parley message, shm"
	parleyMany = "Parley message, shm, SendBatch"
	parleyCast = "Parley broadcast"
	castMany   = "Parley broadcast, PublishBatch"
	topicName  = "Parley topic"
	topicMany  = "Parley topic, batched"
	parleyLoan = "Parley broadcast, both ways, polling"

	parleyFrames = "Parley message/frame, pools both ways"
)

// publishRate is what each of four subscribers is to receive a second.
const publishRate = 15e6

// targets are what shared memory was promised to reach on two processors.
var targets = []report.Target{
	{Says: "round trip, awake, 64 B", Cell: cell(party.Free, opTrip, 64), Metric: party.Median, Subject: parleyShm, Against: []string{slot}, AtMost: 1.3},
	{Says: "round trip, awake, 1 KiB", Cell: cell(party.Free, opTrip, 1<<10), Metric: party.Median, Subject: parleyShm, Against: []string{slot}, AtMost: 1.3},
	{Says: "round trip, awake, 64 B, iceoryx", Cell: cell(party.Free, opTrip, 64), Metric: party.Median, Subject: parleyShm, Against: []string{iceoryx}, Faster: 5},
	{Says: "round trip, one processor, 64 B", Cell: cell(party.Together, opTrip, 64), Metric: party.Median, Subject: parleyShm, Against: []string{goFutex}, AtMost: 1.5},
	{Says: "one message after seconds", Cell: cells[len(cells)-1], Metric: party.Median, Subject: parleyShm, Against: []string{netUnix}, AtMost: 1},
	{Says: "one way, 64 B, SendBatch", Cell: cell(party.Free, opFlow, 64), Metric: party.Time, Subject: parleyMany, Against: []string{ring}, Faster: 0.40},
	{Says: "one way, 64 B, Send", Cell: cell(party.Free, opFlow, 64), Metric: party.Time, Subject: parleyShm, Against: []string{ring}, Faster: 0.12},
	{Says: "one way, 1 KiB, SendBatch", Cell: cell(party.Free, opFlow, 1<<10), Metric: party.Time, Subject: parleyMany, Against: []string{ring}, Faster: 0.75},
	{Says: "one way, 1 KiB, Send", Cell: cell(party.Free, opFlow, 1<<10), Metric: party.Time, Subject: parleyShm, Against: []string{ring}, Faster: 0.75},
	{Says: "one way, 64 KiB, Send", Cell: cell(party.Free, opFlow, 64<<10), Metric: party.Time, Subject: parleyShm, Against: []string{ring}, Faster: 0.85},
	{Says: "broadcast to 4, 64 B, batched", Cell: cell(party.Free, opPublish, 64), Metric: party.Time, Subject: castMany, Rate: publishRate},
	{Says: "broadcast to 4, 64 B, NATS", Cell: cell(party.Free, opPublish, 64), Metric: party.Time, Subject: castMany, Against: []string{coreNATS}, Faster: 25},
	{Says: "topic to 4, 64 B, batched", Cell: cell(party.Free, opPublish, 64), Metric: party.Time, Subject: topicMany, Rate: publishRate},
	{Says: "topic to 4, 64 B, NATS", Cell: cell(party.Free, opPublish, 64), Metric: party.Time, Subject: topicMany, Against: []string{coreNATS}, Faster: 25},
	{Says: "loan of 1 MiB, iceoryx", Cell: cell(party.Free, opLoan, 1<<20), Metric: party.Median, Subject: parleyLoan, Against: []string{iceoryx}, AtMost: 1},
	{Says: "loan of 1 MiB beside one of 64 B", Cell: cell(party.Free, opLoan, 1<<20), Metric: party.Median, Subject: parleyLoan, Against: []string{parleyLoan}, Over: &smallLoan, AtMost: 1.5},
	{Says: "SendMemory, 64 KiB", Cell: cell(party.Free, opMemory, 64<<10), Metric: party.Median, Subject: parleyShm, AtMost: 50e3},
	{Says: "SendMemory, 1 MiB", Cell: cell(party.Free, opMemory, 1<<20), Metric: party.Median, Subject: parleyShm, AtMost: 50e3},
	{Says: "SendMemory, 64 MiB", Cell: cell(party.Free, opMemory, 64<<20), Metric: party.Median, Subject: parleyShm, AtMost: 50e3},
}

var smallLoan = cell(party.Free, opLoan, 64)
