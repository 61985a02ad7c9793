// Gives its clients away: one that says "give" goes to the primary by process.send(); any other
// text is echoed. "close" closes the server once all clients are gone, and tells so.
'use strict';
const net = require('node:net');
const event = require('./event.js');

const server = net.createServer((client) => {
  client.on('error', () => client.destroy());
  client.once('data', (data) => {
    const text = data.toString();
    if (text === 'give') {
      process.send('a socket', client, (error) => event('given', { error }));
      return;
    }
    client.end(text);
    if (text === 'close') server.close(() => event('closed'));
  });
});
server.listen(Number(process.env.PORT), () => event('listening', server.address()));
