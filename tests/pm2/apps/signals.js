// Prints the signals and messages that it gets.
'use strict';
for (const name of ['SIGUSR2', 'SIGHUP', 'SIGTERM']) process.on(name, () => console.log(name));
process.on('message', (message) => console.log(`message ${JSON.stringify(message)}`));
process.on('SIGINT', () => {
  console.log('SIGINT');
  process.exit(0);
});
process.stdin.on('data', (data) => console.log(`line ${String(data).trim()}`));
setInterval(() => {}, 1000);
console.log('started');
