// The smallest server: says who answers.
'use strict';
const http = require('node:http');
const event = require('./event.js');

const server = http.createServer((request, response) => {
  response.end(JSON.stringify({ pid: process.pid }));
});
server.listen(Number(process.env.PORT), () => event('listening', server.address()));
