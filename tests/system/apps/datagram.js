// Answers each datagram with its text and who answered.
'use strict';
const dgram = require('node:dgram');
const event = require('./event.js');

const socket = dgram.createSocket('udp4');
socket.on('message', (text, from) => {
  socket.send(JSON.stringify({ text: text.toString(), pid: process.pid }), from.port, from.address);
});
socket.bind(Number(process.argv[2] ?? process.env.PORT), '127.0.0.1', () => {
  event('listening', socket.address());
});
