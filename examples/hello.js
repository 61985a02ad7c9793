// An ordinary Node program: nothing in it knows of Baton.
//   node hello.js                   one process
//   baton run hello.js -i 4         four, behind one port
const http = require('node:http');

http.createServer((request, response) => {
  response.end(`Hello from process ${process.pid}\n`);
}).listen(process.env.PORT || 8080);
