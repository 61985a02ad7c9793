// Starts the real program as a child of its own, as npm does: the channel ends here.
'use strict';
const { spawn } = require('node:child_process');
const path = require('node:path');

let child;
process.on('SIGTERM', () => child.kill()); // first: what is started is never left behind
process.on('disconnect', () => child.kill());
child = spawn(process.execPath, [path.join(__dirname, 'hello.js')], { stdio: 'inherit' });
child.on('exit', (code) => process.exit(code ?? 1));
