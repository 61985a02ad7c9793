// Leaves well: answers what it has been asked, and says that the connection ends.
'use strict';
const server = require('node:http').createServer((request, response) => {
  if (!server.listening) response.setHeader('Connection', 'close');
  setTimeout(() => response.end(String(process.pid)), Number(request.url.slice(1)) || 0);
});
server.keepAliveTimeout = 0;
server.closeIdleConnections = () => {};
server.listen(Number(process.env.PORT));
process.on('SIGINT', () => { if (server.listening) server.close(() => process.exit(0)); });
