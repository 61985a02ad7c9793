// Node's own cluster primary, as its manual shows it: fork so many, fork again what died.
'use strict';
const cluster = require('cluster');
const path = require('path');

cluster.setupPrimary({ exec: path.join(__dirname, 'app.js') });
cluster.on('exit', () => cluster.fork());
for (let i = 0; i < Number(process.env.WORKERS); i++) cluster.fork();
