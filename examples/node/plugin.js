// SPDX-License-Identifier: Apache-2.0

// A plugin for a host that uses Parley's child package, in Node.js: it inherits
// a socket, says two lines (docs/formats/child.md), and serves gRPC on it.
'use strict';
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const definition = loader.loadSync('greeter/v1/greeter.proto', { includeDirs: [path.join(__dirname, '../../proto')] });
const { Greeter } = grpc.loadPackageDefinition(definition).parley.greeter.v1;

// The host's line is read byte by byte: what follows it is HTTP/2's.
function shakeHands(fd) {
  let line = '';
  for (const byte = Buffer.alloc(1); !line.endsWith('\n'); line += byte.toString('latin1')) {
    if (fs.readSync(fd, byte) === 0) throw new Error('the host has gone');
  }
  if (!/^parley-child 1 protocols=([0-9]+,)*1[, ]/.test(line)) throw new Error('not a host of ours: ' + line);
  fs.writeSync(fd, 'parley-child 1 protocol=1 shm=no\n');
}

const fd = Number((process.env.PARLEY_CHILD || '').split(',')[0]);
if (!fd) throw new Error('this program is a plugin: its host starts it');
shakeHands(fd);

const server = new grpc.Server();
server.addService(Greeter.service, {
  Greet(call, answer) {
    if (call.request.name === 'crash') process.exit(1);
    console.error('plugin: greeting ' + call.request.name);
    answer(null, { text: 'hello from Node, ' + call.request.name });
  },
});
const socket = new net.Socket({ fd, readable: true, writable: true });
socket.on('close', () => process.exit(0));
server.createConnectionInjector(grpc.ServerCredentials.createInsecure()).injectConnection(socket);
