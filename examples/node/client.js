// SPDX-License-Identifier: Apache-2.0

// A gRPC client as anybody would write it in Node.js: it knows the socket and
// the .proto file, and nothing of Parley.
'use strict';
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const definition = loader.loadSync('greeter/v1/greeter.proto', { includeDirs: [path.join(__dirname, '../../proto')] });
const { Greeter } = grpc.loadPackageDefinition(definition).parley.greeter.v1;
const client = new Greeter('unix://' + process.argv[2], grpc.credentials.createInsecure());

const soon = () => ({ deadline: Date.now() + 10000 });

function greet(name) {
  return new Promise((resolve, reject) => {
    client.Greet({ name }, new grpc.Metadata(), soon(), (err, answer) => (err ? reject(err) : resolve(answer.text)));
  });
}

function read(stream) {
  return new Promise((resolve, reject) => {
    const texts = [];
    stream.on('data', (answer) => texts.push(answer.text));
    stream.on('end', () => resolve(texts.join('; ')));
    stream.on('error', reject);
  });
}

function together(names) {
  return new Promise((resolve, reject) => {
    const stream = client.Together(new grpc.Metadata(), soon(), (err, answer) => (err ? reject(err) : resolve(answer.text)));
    names.forEach((name) => stream.write({ name }));
    stream.end();
  });
}

async function main() {
  console.log('Greet:', await greet('Node'));
  console.log('Count:', await read(client.Count({ name: 'Node', times: 3 }, new grpc.Metadata(), soon())));
  console.log('Together:', await together(['one', 'two']));
  const chat = client.Chat(new grpc.Metadata(), soon());
  const answers = read(chat);
  ['a', 'b'].forEach((name) => chat.write({ name }));
  chat.end();
  console.log('Chat:', await answers);
  const refused = await greet('').catch((err) => err);
  console.log('Without a name:', grpc.status[refused.code], refused.details);
}

main().catch((err) => { console.error(err); process.exitCode = 1; }).finally(() => client.close());
