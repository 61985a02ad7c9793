// A server that knows nothing of Baton.
const http = require('node:http');

http.createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  response.end(`api, process ${process.pid}\n`);
}).listen(process.env.PORT || 3000, () => console.log('listening'));
