// Runs, but never serves anybody.
'use strict';
setInterval(() => {}, 1000);
