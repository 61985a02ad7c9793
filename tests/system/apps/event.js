// Prints one JSON line for the test to read.
'use strict';
module.exports = (event, fields) =>
  console.log(JSON.stringify({ event, pid: process.pid, ...fields }));
