// Node's own cluster primary around an unmodified program: what Baton is measured against.
// Usage: node primary.js SCRIPT -i N [--policy none] [-- ARGUMENTS]
'use strict';
const cluster = require('node:cluster');
const path = require('node:path');

function parse(words) {
  const options = { instances: 1, policy: 'node', script: null, args: [] };
  for (let i = 0; i < words.length; i++) {
    if (words[i] === '--') {
      options.args = words.slice(i + 1);
      break;
    }
    if (words[i] === '-i') options.instances = Number(words[++i]);
    else if (words[i] === '--policy') options.policy = words[++i];
    else options.script = path.resolve(words[i]);
  }
  return options;
}

const options = parse(process.argv.slice(2));
let stopping = false;

if (options.policy === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE;
cluster.setupPrimary({ exec: options.script, args: options.args });
cluster.on('exit', () => {
  if (!stopping) cluster.fork();
});
for (let i = 0; i < options.instances; i++) cluster.fork();

function stop() {
  if (stopping) process.exit(1);
  stopping = true;
  cluster.disconnect(() => process.exit(0));
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
