// Serves, and says who it is.
'use strict';
const http = require('node:http');

http.createServer((request, response) => response.end(String(process.pid)))
  .listen(Number(process.env.PORT) + Number(process.env.OFFSET || 0), () => console.log('listening'));
