/* ping, kill, update, monit, report: the daemon itself. */
#include "cli/act.h"
#include "cli/action.h"
#include "cli/daemon_end.h"
#include "cli/lost_daemon.h"
#include "cli/message.h"
#include "cli/monit.h"
#include "cli/records.h"
#include "cli/show.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

/* PM2's `ping` starts a daemon that is not there; ours asks whether it is. */
static int run_ping(struct cli_call *call) {
    bool pm2 = call->context->dialect->pm2;
    struct cli_client client;
    int code = 0;

    if (cli_client_open(&client, call, pm2 ? CLI_CLIENT_START : CLI_CLIENT_IF_RUNNING) < 0)
        return 1;
    if (!client.there)
        code = cli_fail(call, "no daemon answers at %s", client.socket);
    else if (!client.about)
        code = cli_fail(call, "the daemon at %s is about to end", client.socket);
    else if (pm2)
        puts("{ msg: 'pong' }");
    else
        cli_say(call, "pong from %lld, version %s",
                (long long)draw_member_number(client.about, "pid", 0),
                draw_member_text(client.about, "version", "?"));
    cli_client_close(&client);
    return code;
}

/* What runs after a crash of the daemon only the next one can end, which starts nothing for that.
 */
static int run_kill(struct cli_call *call) {
    struct cli_client client;
    int code = 0;

    call->flags.fresh = true;
    if (cli_client_open(&client, call, CLI_CLIENT_TO_END) < 0)
        return 1;
    if (client.there)
        code = cli_daemon_end(&client);
    else if (client.lost)
        code = cli_lost_daemon_end(call, client.socket, client.lost);
    if (code == 0 && call->context->dialect->pm2) {
        cli_say(call, "[v] All Applications Stopped");
        cli_say(call, "[v] PM2 Daemon Stopped");
    } else if (code == 0) {
        cli_say(call, client.there || client.lost ? "The daemon and its apps have ended"
                                                  : "No daemon runs");
    }
    cli_client_close(&client);
    return code;
}

/* Saves, ends the daemon that runs, starts this version of it, and has it start what was saved. */
static int run_update(struct cli_call *call) {
    struct cli_client client;
    int code = 0;

    if (cli_client_open(&client, call, CLI_CLIENT_IF_RUNNING) < 0)
        return 1;
    if (client.there) {
        code = cli_action_post(&client, "/v1/save", json_pack("{s:b}", "force", 1), NULL);
        if (code == 0)
            code = cli_daemon_end(&client);
        cli_client_close(&client);
    }
    if (code != 0 || cli_client_open(&client, call, CLI_CLIENT_START) < 0)
        return 1;
    code = cli_act_resurrect(&client);
    cli_client_close(&client);
    return code;
}

static int run_monit(struct cli_call *call) {
    struct monit_options options;
    struct cli_client client;
    bool there;

    if (cli_client_open(&client, call, CLI_CLIENT_IF_RUNNING) < 0)
        return 1;
    there = client.there;
    cli_client_close(&client);
    if (!there)
        return cli_fail(call, "no daemon runs, so there is nothing to be seen");
    options = (struct monit_options){.socket_path = client.socket, .style = cli_show_style(call)};
    return monit_run(&options);
}

static void print_user(void) {
    const struct passwd *user = getpwuid(getuid());

    if (user)
        printf("user      %s (%u)\n", user->pw_name, (unsigned)getuid());
    else
        printf("user      %u\n", (unsigned)getuid());
}

/* What somebody who is to help wants to know; nothing of environments. */
static int run_report(struct cli_call *call) {
    struct cli_client client;
    struct utsname machine;
    int code;

    if (cli_client_open(&client, call, CLI_CLIENT_IF_RUNNING) < 0)
        return 1;
    uname(&machine);
    printf("command   %s, version " BATON_VERSION "\n"
           "machine   %s %s %s, %ld CPUs\n",
           call->context->dialect->name, machine.sysname, machine.release, machine.machine,
           sysconf(_SC_NPROCESSORS_ONLN));
    print_user();
    printf("home      %s\n", client.home);
    if (client.about)
        printf("daemon    %lld, version %s, up for %lld s\n",
               (long long)draw_member_number(client.about, "pid", 0),
               draw_member_text(client.about, "version", "?"),
               (long long)draw_member_number(client.about, "uptime_ms", 0) / 1000);
    else
        puts(client.there ? "daemon    about to end" : "daemon    none");
    code = cli_show_list(&client);
    cli_client_close(&client);
    return code;
}

const struct cli_command command_ping = {
    .name = "ping",
    .usage = "",
    .summary = "ask whether the daemon is there",
    .run = run_ping,
};

const struct cli_command command_kill = {
    .name = "kill",
    .usage = "",
    .summary = "stop every app, and the daemon",
    .run = run_kill,
};

const struct cli_command command_update = {
    .name = "update",
    .usage = "",
    .summary = "the daemon anew, of this version, with the apps that it had",
    .run = run_update,
};

const struct cli_command command_monit = {
    .name = "monit",
    .aliases = "monitor dash",
    .usage = "",
    .summary = "a full-screen view of processes, logs and figures",
    .run = run_monit,
};

const struct cli_command command_report = {
    .name = "report",
    .usage = "",
    .summary = "what to tell somebody who is to help",
    .run = run_report,
};
