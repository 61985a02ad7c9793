// A server that leaves well: whoever is connected is told with the next answer that it is the last.
'use strict';
const http = require('node:http');
const event = require('./event.js');

const version = process.env.VERSION || process.argv[2] || '1';
const server = http.createServer((request, response) => {
  const [, action, operand] = request.url.split('/');
  if (!server.listening) response.setHeader('Connection', 'close');
  const answer = () => response.end(JSON.stringify({
    pid: process.pid, version, instance: process.env.NODE_APP_INSTANCE,
  }));
  if (action === 'sleep') setTimeout(answer, Number(operand));
  else answer();
});
server.keepAliveTimeout = 0;
server.closeIdleConnections = () => {}; // closed without a word, a client might just have asked
server.listen(Number(process.env.PORT), () => event('listening', { version }));
process.on('SIGINT', () => {
  if (server.listening) server.close(() => process.exit(0));
});
