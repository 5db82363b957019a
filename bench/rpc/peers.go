// SPDX-License-Identifier: Apache-2.0

package main

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
	parleyPeer(parleyShm, "shm"),
	parleyPeer(parleyUnix, "unix"),
	parleyPeer(parleyTCP, "tcp"),
	parleyPeer(parleyTLS, "tls"),
}
