// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/parley-ipc/parley/bench/internal/party"
	"github.com/parley-ipc/parley/bench/internal/report"
)

// Names of peers.
const (
	grpcUnix    = "grpc-go, unix"
	grpcLarge   = "grpc-go, unix, large windows"
	grpcTLS     = "grpc-go, tls"
	drpcUnix    = "drpc, unix"
	ttrpcUnix   = "ttrpc, unix"
	netrpcUnix  = "net/rpc, unix"
	connectUn   = "connect, unix"
	natsTCP     = "NATS, tcp"
	parleyShm   = "Parley rpc, shm"
	parleyTrust = "Parley rpc, shm, trusted"
	parleyUnix  = "Parley rpc, unix"
	parleyTCP   = "Parley rpc, tcp"
	parleyTLS   = "Parley rpc, tls"
)

var (
	grpcOnly = []string{grpcUnix}
	others   = []string{drpcUnix, ttrpcUnix, netrpcUnix, connectUn, natsTCP}
	light    = []string{drpcUnix, ttrpcUnix, netrpcUnix}
	unary    = cell(party.Free, opUnary, 64)
	many     = cell(party.Free, opCallers, 64)
	stream   = cell(party.Free, opStream, 1<<10)
)

// targets are what calls were promised to reach.
var targets = []report.Target{
	{Says: "unary 64 B, shm, awake, grpc-go", Cell: unary, Metric: party.Median, Subject: parleyShm, Against: grpcOnly, Faster: 40},
	{Says: "unary 64 B, shm, awake, fastest other", Cell: unary, Metric: party.Median, Subject: parleyShm, Against: others, Faster: 20},
	{Says: "unary 64 B, shm, sleeping", Cell: sleeping, Metric: party.Median, Subject: parleyShm, Against: grpcOnly, Faster: 1.5},
	{Says: "unary 64 B, shm, one processor", Cell: cell(party.Together, opUnary, 64), Metric: party.Median, Subject: parleyShm, Against: grpcOnly, Faster: 5},
	{Says: "unary 64 B, unix, awake", Cell: unary, Metric: party.Median, Subject: parleyUnix, Against: light, Faster: 2.5},
	{Says: "unary 64 B, tls", Cell: unary, Metric: party.Median, Subject: parleyTLS, Against: []string{grpcTLS}, Faster: 1.5},
	{Says: "64 callers, shm, calls", Cell: many, Metric: party.Time, Subject: parleyShm, Against: grpcOnly, Faster: 11},
	{Says: "64 callers, unix, calls", Cell: many, Metric: party.Time, Subject: parleyUnix, Against: grpcOnly, Faster: 4},
	{Says: "64 callers, shm, CPU a call", Cell: many, Metric: party.CPU, Subject: parleyShm, Against: grpcOnly, Faster: 10},
	{Says: "stream 1 KiB, shm", Cell: stream, Metric: party.Time, Subject: parleyShm, Against: grpcOnly, Faster: 8},
	{Says: "stream 1 KiB, unix", Cell: stream, Metric: party.Time, Subject: parleyUnix, Against: grpcOnly, Faster: 2.5},
	{Says: "unary 64 KiB, shm", Cell: cell(party.Free, opUnary, 64<<10), Metric: party.Median, Subject: parleyShm, Against: grpcOnly, Faster: 8},
	{Says: "unary 1 MiB, shm", Cell: cell(party.Free, opUnary, 1<<20), Metric: party.Median, Subject: parleyShm, Against: grpcOnly, Faster: 8},
}
