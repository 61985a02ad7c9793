/* Monit's conversation with the daemon: three connections, one for the events, one that asks for
 * the processes again and again, one for actions, so that a long reload does not stop the figures.
 *
 * The first one begins with the last lines that are in the log files already.
 *
 * Nothing here waits: poll the descriptors of monit_daemon_poll() and hand back what they say.
 * Every answer goes into the view. open/close: it borrows view and path. */
#ifndef BATON_CLI_MONIT_DAEMON_H
#define BATON_CLI_MONIT_DAEMON_H

#include "cli/monit_view.h"
#include "http/client.h"
#include "http/event_reader.h"

#include <poll.h>

#define MONIT_CONNECTIONS 3

struct monit_daemon;

struct monit_connection {
    struct monit_daemon *daemon;
    struct http_client client;
    struct event_reader events; /* of an answer that is a stream of events */
    struct buffer body;         /* of one that is not */
    int status;                 /* of the answer */
    bool opened;
    bool busy; /* an answer is awaited */
};

struct monit_daemon {
    struct monit_view *view;
    struct monit_connection events;
    bool events_begun; /* before: the last lines of the logs */
    struct monit_connection figures;
    struct monit_connection action;
    char action_name[MONIT_ACTION_MAX];
    char action_subject[64];
};

/* Connects and asks for the last lines. 0 or UV_E*, with nothing to close. */
int monit_daemon_open(struct monit_daemon *daemon, const char *socket_path,
                      struct monit_view *view);
void monit_daemon_close(struct monit_daemon *daemon);

/* Asks for the processes, unless the last answer is still on its way. 0 or UV_E*. */
int monit_daemon_ask(struct monit_daemon *daemon);

/* Sends an action, unless one is under way, which is said. Takes action->body. 0 or UV_E*. */
int monit_daemon_act(struct monit_daemon *daemon, struct monit_action *action);

/* Fills in what to poll for, -1 where nothing is awaited. */
void monit_daemon_poll(const struct monit_daemon *daemon,
                       struct pollfd descriptors[MONIT_CONNECTIONS]);

/* Reads what has come. 0; UV_E* when the daemon is gone or talks nonsense. */
int monit_daemon_receive(struct monit_daemon *daemon,
                         const struct pollfd descriptors[MONIT_CONNECTIONS]);

#endif
