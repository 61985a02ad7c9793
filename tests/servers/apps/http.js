'use strict';
const http = require('http');

http.createServer((request, response) => {
  const body = JSON.stringify({ pid: process.pid });
  response.writeHead(200, { 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}).listen(Number(process.env.PORT), '127.0.0.1');
