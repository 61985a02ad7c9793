// Starts the real program as a child of its own, as npm does: the channel ends here.
'use strict';
const { spawn } = require('node:child_process');
const path = require('node:path');

const child = spawn(process.execPath, [path.join(__dirname, 'hello.js')], { stdio: 'inherit' });
process.on('SIGTERM', () => child.kill());
process.on('disconnect', () => child.kill());
child.on('exit', (code) => process.exit(code ?? 1));
