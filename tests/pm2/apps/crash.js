// Dies as soon as it has started.
'use strict';
console.error('no configuration found');
process.exit(Number(process.argv[2] || 1));
