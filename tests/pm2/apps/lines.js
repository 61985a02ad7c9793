// Prints one line on each stream.
'use strict';
console.log('a line');
console.error('an error');
setInterval(() => {}, 1000);
