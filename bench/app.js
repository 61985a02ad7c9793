// The Node worker of the benchmark: an ordinary server that knows nothing of its master.
'use strict';
const fs = require('fs');
const http = require('http');

// For the time from a kill to the replacement: when this process's runtime started, on the
// monotonic clock. Node notes it in the first instructions after its libraries are loaded.
if (process.env.BENCH_STAMPS) {
  const started = process.hrtime.bigint() - BigInt(Math.round(performance.now() * 1e6));
  fs.appendFileSync(process.env.BENCH_STAMPS, `${process.pid} ${started}\n`);
}

http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  response.end('hello\n');
}).listen(Number(process.env.PORT), '127.0.0.1');
