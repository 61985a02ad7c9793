// A server whose paths make it do what a test needs: /ACTION or /ACTION/NUMBER.
'use strict';
const cluster = require('node:cluster');
const http = require('node:http');
const event = require('./event.js');

function blockFor(milliseconds) {
  const end = Date.now() + milliseconds;
  while (Date.now() < end);
}

function whoAmI() {
  return {
    pid: process.pid,
    id: cluster.worker?.id,
    isPrimary: cluster.isPrimary,
    isWorker: cluster.isWorker,
    connected: process.connected,
    workerIsConnected: cluster.worker?.isConnected(),
    workerIsDead: cluster.worker?.isDead(),
    instance: process.env.NODE_APP_INSTANCE,
    leaked: Object.keys(process.env).filter((name) => /^NODE_(CHANNEL|UNIQUE)/.test(name)),
    arguments: process.argv.slice(2),
  };
}

const actions = {
  whoami: (number, done) => done(whoAmI()),
  sleep: (number, done) => setTimeout(done, number, { pid: process.pid }),
  block: (number, done) => {
    event('blocking');
    blockFor(number);
    done({ pid: process.pid });
  },
  big: (number, done) => done('x'.repeat(number)),
  send: (number, done) => process.send('x'.repeat(number), (error) => done({ error })),
  throw: () => setImmediate(() => { throw new Error('thrown on purpose'); }),
  exit: (number) => process.exit(number),
  'process-disconnect': (number, done) => {
    done({ pid: process.pid });
    setImmediate(() => process.disconnect());
  },
  'worker-disconnect': (number, done) => {
    done({ pid: process.pid });
    setImmediate(() => cluster.worker.disconnect());
  },
  'worker-kill': (number, done) => {
    done({ pid: process.pid });
    setTimeout(() => cluster.worker.kill(), 50);
  },
  relisten: (number, done) => {
    done({ pid: process.pid });
    server.close(() => setTimeout(listen, number));
  },
};

const server = http.createServer((request, response) => {
  const [, action, number] = request.url.split('/');
  if (!(action in actions)) return response.writeHead(404).end();
  actions[action](Number(number), (answer) => response.end(JSON.stringify(answer)));
});

function listen() {
  server.listen(Number(process.env.PORT), () => event('listening', server.address()));
}

process.on('message', (message) => event('message', { message }));
process.on('exit', (code) => event('exit', {
  code, voluntary: cluster.worker?.exitedAfterDisconnect,
}));
listen();
