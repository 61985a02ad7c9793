// A server that has never heard of signals.
'use strict';
const http = require('node:http');

const grown = [];
http.createServer((request, response) => {
  const [, action, operand] = request.url.split('/');
  if (action === 'grow') grown.push(Buffer.alloc(Number(operand), 1));
  if (action === 'exit') process.exit(Number(operand));
  const answer = () => response.end(JSON.stringify({
    pid: process.pid, instance: process.env.NODE_APP_INSTANCE,
  }));
  if (action === 'sleep') setTimeout(answer, Number(operand));
  else answer();
}).listen(Number(process.env.PORT));
