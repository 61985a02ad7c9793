// Listens with the options that its first argument gives as JSON; with several, on each.
'use strict';
const http = require('node:http');
const event = require('./event.js');

process.argv.slice(2).forEach((text, index) => {
  const server = http.createServer((request, response) => {
    response.end(JSON.stringify({ pid: process.pid, index }));
  });
  server.on('listening', () => event('listening', { index, at: server.address() }));
  server.on('error', ({ code, syscall }) => event('error', { index, code, syscall }));
  server.listen(JSON.parse(text));
});

// Stays when nothing could be listened on, as long as there is a primary.
const stay = setInterval(() => {}, 60000);
process.on('disconnect', () => clearInterval(stay));
