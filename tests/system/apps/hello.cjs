// A CommonJS module that says so by its name.
'use strict';
const cluster = require('node:cluster');
const http = require('node:http');
const event = require('./event.js');

const server = http.createServer((request, response) => {
  response.end(JSON.stringify({ pid: process.pid, isWorker: cluster.isWorker }));
});
server.listen(Number(process.env.PORT), () => event('listening', server.address()));
