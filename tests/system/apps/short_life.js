// Serves, and soon dies of something else.
'use strict';
const http = require('node:http');
const event = require('./event.js');

http.createServer((request, response) => response.end('{}')).listen(Number(process.env.PORT), () => {
  event('listening');
  setTimeout(() => { throw new Error('short of breath'); }, 30);
});
