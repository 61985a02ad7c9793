// Holds every client it takes, and takes as many as its first argument says.
'use strict';
const net = require('node:net');
const event = require('./event.js');

const server = net.createServer((client) => {
  client.write(`${process.pid}\n`);
  client.on('error', () => client.destroy());
  client.resume();
});
server.maxConnections = Number(process.argv[2]);
server.listen(Number(process.env.PORT), () => event('listening', server.address()));
