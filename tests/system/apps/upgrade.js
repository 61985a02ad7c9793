// Answers an upgrade by hand and then echoes, as a WebSocket library does underneath.
'use strict';
const http = require('node:http');
const event = require('./event.js');

const server = http.createServer((request, response) => {
  response.end(JSON.stringify({ pid: process.pid }));
});
server.on('upgrade', (request, socket, head) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
  socket.write(head);
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
server.listen(Number(process.env.PORT), () => event('listening', server.address()));
