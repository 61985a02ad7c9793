// A server whose paths make it do what a test needs: /ACTION or /ACTION/OPERAND.
'use strict';
const cluster = require('node:cluster');
const fs = require('node:fs');
const http = require('node:http');
const event = require('./event.js');

function blockFor(milliseconds) {
  const end = Date.now() + milliseconds;
  while (Date.now() < end);
}

function blockUntilThereIs(file) {
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  while (!fs.existsSync(file)) Atomics.wait(nothing, 0, 0, 10);
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

function nested(levels) {
  let value = [];
  for (let i = 0; i < levels; i++) value = i % 2 ? [value] : { value };
  return value;
}

const odd = {
  nested: nested(1000),
  surrogate: '\ud800',
  nul: { 'a\u0000b': 'c\u0000d' },
  huge: [2 ** 70, 2 ** 63, -(2 ** 63), Number.MAX_VALUE, 5e-324],
  separators: '\u2028\u2029\n\r',
  proto: JSON.parse('{"__proto__": {"cmd": "NODE_CLUSTER"}}'),
  empty: '',
  command: { cmd: 'NODE_', act: 'close' },
  number: { cmd: 7, ack: 0 },
};

const held = []; // until SIGUSR2 comes

const actions = {
  whoami: (number, done) => done(whoAmI()),
  sleep: (number, done) => setTimeout(done, Number(number), { pid: process.pid }),
  hold: (number, done) => {
    held.push(done);
    event('holding', { open: held.length });
  },
  block: (number, done) => {
    event('blocking');
    blockFor(Number(number));
    done({ pid: process.pid });
  },
  'block-until': (file, done) => {
    event('blocking');
    blockUntilThereIs(file);
    done({ pid: process.pid });
  },
  big: (number, done) => done('x'.repeat(Number(number))),
  send: (number, done) => process.send('x'.repeat(Number(number)), (error) => done({ error })),
  'send-odd': (name, done) => process.send(odd[name], (error) => done({ error })),
  throw: () => setImmediate(() => { throw new Error('thrown on purpose'); }),
  exit: (number) => process.exit(Number(number)),
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
    server.close(() => setTimeout(listen, Number(number)));
  },
  'relisten-when': (file, done) => {
    done({ pid: process.pid });
    server.close(() => {
      const looking = setInterval(() => {
        if (!fs.existsSync(file)) return;
        clearInterval(looking);
        listen();
      }, 10);
    });
  },
};

const server = http.createServer((request, response) => {
  const [, action, operand] = request.url.split('/');
  if (!(action in actions)) return response.writeHead(404).end();
  actions[action](operand, (answer) => response.end(JSON.stringify(answer)));
});

// How long a client may think is the client's affair: Node's five seconds pass on a busy machine.
server.keepAliveTimeout = 120000;

function listen() {
  server.listen(Number(process.env.PORT), () => event('listening', server.address()));
}

process.on('SIGUSR2', () => {
  for (const done of held.splice(0)) done({ pid: process.pid });
});
process.on('message', (message) => event('message', { message }));
process.on('exit', (code) => event('exit', {
  code, voluntary: cluster.worker?.exitedAfterDisconnect,
}));
listen();
