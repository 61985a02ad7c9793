/* The records of the commands that are clients of the control API; commands.c lists them. */
#ifndef BATON_CLI_RECORDS_H
#define BATON_CLI_RECORDS_H

#include "cli/command.h"

extern const struct cli_command command_attach;
extern const struct cli_command command_cleardump;
extern const struct cli_command command_completion;
extern const struct cli_command command_delete;
extern const struct cli_command command_describe;
extern const struct cli_command command_env;
extern const struct cli_command command_flush;
extern const struct cli_command command_help;
extern const struct cli_command command_id;
extern const struct cli_command command_init;
extern const struct cli_command command_jlist;
extern const struct cli_command command_kill;
extern const struct cli_command command_list;
extern const struct cli_command command_logs;
extern const struct cli_command command_monit;
extern const struct cli_command command_pid;
extern const struct cli_command command_ping;
extern const struct cli_command command_prettylist;
extern const struct cli_command command_reload;
extern const struct cli_command command_reload_logs;
extern const struct cli_command command_report;
extern const struct cli_command command_reset;
extern const struct cli_command command_restart;
extern const struct cli_command command_resurrect;
extern const struct cli_command command_save;
extern const struct cli_command command_scale;
extern const struct cli_command command_send;
extern const struct cli_command command_send_signal;
extern const struct cli_command command_start;
extern const struct cli_command command_start_or_reload;
extern const struct cli_command command_start_or_restart;
extern const struct cli_command command_startup;
extern const struct cli_command command_stop;
extern const struct cli_command command_unstartup;
extern const struct cli_command command_update;
extern const struct cli_command command_validate;
extern const struct cli_command command_version;

/* `serve` under the name pm2: an app in the daemon. */
extern const struct cli_command command_serve_app;

/* `run` of a process file, and whatever pm2-runtime is given: apps of a daemon in the foreground.
 */
extern const struct cli_command command_foreground;

#endif
