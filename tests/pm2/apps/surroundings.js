// Prints what a worker is told by its environment, and its arguments.
'use strict';
const names = ['NODE_APP_INSTANCE', 'NUMBER', 'pm_id', 'name', 'namespace', 'exec_mode', 'instances',
  'pm_exec_path', 'pm_cwd', 'PM2_HOME', 'NODE_ENV', 'GREETING', 'SECRET_ONE', 'SECRET_TWO', 'COUNTER'];
const values = Object.fromEntries(names.filter((name) => name in process.env)
  .map((name) => [name, process.env[name]]));
console.log(JSON.stringify({
  env: values,
  unique: 'unique_id' in process.env,
  cwd: process.cwd(),
  args: process.argv.slice(2),
  execArgv: process.execArgv.filter((word) => !/^--(require|import)/.test(word) && !/\.[cm]?js$/.test(word)),
}));
setInterval(() => {}, 1000);
