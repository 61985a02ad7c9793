// Asynchronous middleware, a streamed body and keep-alive: the shape of an Express or Koa program.
'use strict';
const http = require('node:http');
const event = require('./event.js');

const middleware = [
  async (context, next) => {
    context.started = process.hrtime.bigint();
    await next();
    context.response.end();
  },
  async (context, next) => {
    context.body = [];
    for await (const piece of context.request) context.body.push(piece);
    await next();
  },
  async (context) => {
    const body = Buffer.concat(context.body);
    context.response.setHeader('content-type', 'application/octet-stream');
    context.response.setHeader('x-pid', process.pid);
    context.response.write(body);
  },
];

function run(context, index) {
  return middleware[index]?.(context, () => run(context, index + 1));
}

const server = http.createServer((request, response) => run({ request, response }, 0));
server.listen(Number(process.env.PORT), () => event('listening', server.address()));
