// Says that it is ready after the milliseconds of its argument; never when there is none.
'use strict';
require('node:http').createServer((request, response) => response.end('ready'))
  .listen(Number(process.env.PORT));
if (process.argv[2]) setTimeout(() => process.send('ready'), Number(process.argv[2]));
