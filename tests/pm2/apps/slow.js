// Answers after the milliseconds of the path; it has never heard of signals.
'use strict';
const grown = [];
require('node:http').createServer((request, response) => {
  if (request.url === '/grow') grown.push(Buffer.alloc(200e6, 1));
  setTimeout(() => response.end(String(process.pid)), Number(request.url.slice(1)) || 0);
}).listen(Number(process.env.PORT));
