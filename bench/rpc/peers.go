// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/parley-ipc/parley/transport/shm"

// peers are all that is measured.
var peers = []peer{
	{name: grpcUnix, serve: grpcServe(grpcUnix, false), dial: grpcDial(grpcUnix, false)},
	{name: grpcLarge, serve: grpcServe(grpcLarge, false), dial: grpcDial(grpcLarge, false)},
	{name: grpcTLS, serve: grpcServe(grpcTLS, true), dial: grpcDial(grpcTLS, true)},
	{name: drpcUnix, serve: drpcServe, dial: drpcDial},
	{name: ttrpcUnix, serve: ttrpcServe, dial: ttrpcDial},
	{name: connectUn, serve: connectServe, dial: connectDial},
	{name: netrpcUnix, serve: netrpcServe, dial: netrpcDial, noStreams: true},
	{name: natsTCP, serve: natsServe, dial: natsDial, noStreams: true, nats: true},
	parleyPeer(parleyShm, "shm", shm.Options{}),
	parleyPeer(parleyTrust, "shm", shm.Options{Trusted: true}),
	parleyPeer(parleyUnix, "unix", shm.Options{}),
	parleyPeer(parleyTCP, "tcp", shm.Options{}),
	parleyPeer(parleyTLS, "tls", shm.Options{}),
}
