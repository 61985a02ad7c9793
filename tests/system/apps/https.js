// HTTPS; says whether the session was resumed. Tries again when the port is taken.
'use strict';
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');
const event = require('./event.js');

const directory = process.env.CERTIFICATE;
const server = https.createServer({
  key: fs.readFileSync(path.join(directory, 'key.pem')),
  cert: fs.readFileSync(path.join(directory, 'cert.pem')),
}, (request, response) => {
  response.end(JSON.stringify({ pid: process.pid, reused: request.socket.isSessionReused() }));
});
const listen = () => server.listen(Number(process.env.PORT));

server.on('listening', () => event('listening', server.address()));
server.on('error', ({ code, syscall, port }) => {
  event('error', { code, syscall, port });
  setTimeout(listen, 100);
});
listen();
