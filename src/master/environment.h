/* The environment of a worker: the app's base environment or else ours, less what is not meant for
 * it; over that the app's variables, then what its owner adds, and last what it needs to find the
 * master.
 *
 * Pure but for reading `environ`. */
#ifndef BATON_MASTER_ENVIRONMENT_H
#define BATON_MASTER_ENVIRONMENT_H

#include "config/settings.h"

#include <stdint.h>

/* The variable that names the worker's process is followed by blanks: its number, which is known
 * only once there is a process, is to be written over them. */
#define ENVIRONMENT_LISTEN_PID "LISTEN_PID="
#define ENVIRONMENT_PID_ROOM   11

struct environment_options {
    const struct settings *settings;
    const struct text_list *variables; /* "NAME=value", what the app's owner adds; or NULL */
    const char *socket_name;
    const char *token; /* hexadecimal */
    uint32_t slot;
    uint64_t serial; /* Node's cluster.worker.id, from 1 */
    bool node_channel;
    bool node_alone;        /* it has one, and is no worker of Node's cluster */
    const char *preload;    /* path of a library to be loaded into the worker, or NULL */
    bool inherits_listener; /* as SPAWN_CHANNEL_DESCRIPTOR (sd_listen_fds(3)) */
};

/* A NULL-terminated list to be freed with text_list_clear(): 0 or UV_ENOMEM. The preload library is
 * loaded after those that LD_PRELOAD names already, so that these see the program first. The
 * variables of a Node parent's channel, of a master above us and of a service manager's sockets are
 * left out, and of the base environment the other words of a service manager to one process
 * (sd_notify(3)) and those that start with one of settings->filter_env. The slot
 * is told in settings->instance_var, and added to the number in settings->increment_var. */
int environment_create(struct text_list *ret_list, const struct environment_options *options);

#endif
