// An ES module.
import http from 'node:http';
import cluster from 'node:cluster';
import event from './event.js';

const server = http.createServer((request, response) => {
  response.end(JSON.stringify({ pid: process.pid, isWorker: cluster.isWorker }));
});
await new Promise((resolve) => server.listen(Number(process.env.PORT), resolve));
event('listening', server.address());
