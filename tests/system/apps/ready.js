// Tells by process.send() that it wants clients, so many milliseconds after it listens or, told
// 'when-told', at SIGUSR2; and ends itself when it is asked to by a message.
'use strict';
const http = require('node:http');
const event = require('./event.js');

const server = http.createServer((request, response) => {
  response.end(JSON.stringify({ pid: process.pid }));
});
function sayReady() {
  event('ready');
  process.send('ready');
}

const whenTold = process.argv[2] === 'when-told';
if (whenTold) process.once('SIGUSR2', sayReady);
server.listen(Number(process.env.PORT), () => {
  event('listening', server.address());
  if (!whenTold) setTimeout(sayReady, Number(process.argv[2]));
});
process.on('message', (message) => {
  event('message', { message });
  if (message === 'shutdown') server.close(() => process.exit(0));
});
