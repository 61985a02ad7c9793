'use strict';
const fs = require('fs');
const https = require('https');
const path = require('path');

const directory = process.env.CERTIFICATE;
const options = {
  key: fs.readFileSync(path.join(directory, 'key.pem')),
  cert: fs.readFileSync(path.join(directory, 'cert.pem')),
};
https.createServer(options, (request, response) => {
  const body = JSON.stringify({ pid: process.pid });
  response.writeHead(200, { 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}).listen(Number(process.env.PORT), '127.0.0.1');
