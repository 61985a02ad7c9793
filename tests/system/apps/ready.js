// Tells by process.send() when it wants clients, and ends itself when it is asked to by a message.
'use strict';
const http = require('node:http');
const event = require('./event.js');

const server = http.createServer((request, response) => {
  response.end(JSON.stringify({ pid: process.pid }));
});
server.listen(Number(process.env.PORT), () => {
  event('listening', server.address());
  setTimeout(() => {
    event('ready');
    process.send('ready');
  }, Number(process.argv[2]));
});
process.on('message', (message) => {
  event('message', { message });
  if (message === 'shutdown') server.close(() => process.exit(0));
});
