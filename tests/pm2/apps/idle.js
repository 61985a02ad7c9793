// Runs, and serves nobody.
'use strict';
console.log('idle');
setInterval(() => {}, 1000);
