// Tries to listen until it works, as programs do that meet EADDRINUSE.
'use strict';
const http = require('node:http');
const event = require('./event.js');

const server = http.createServer((request, response) => {
  response.end(JSON.stringify({ pid: process.pid }));
});
const listen = () => server.listen(Number(process.env.PORT));

server.on('listening', () => event('listening', server.address()));
server.on('error', ({ code, syscall, port, message }) => {
  event('error', { code, syscall, port, message });
  setTimeout(listen, 100);
});
listen();
