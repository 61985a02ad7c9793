/* The environment of a worker: ours, less what is not meant for it, plus what it needs to find the
 * master.
 *
 * Pure but for reading `environ`. */
#ifndef BATON_MASTER_ENVIRONMENT_H
#define BATON_MASTER_ENVIRONMENT_H

#include "config/settings.h"

#include <stdint.h>

struct environment_options {
    const struct settings *settings;
    const char *socket_name;
    const char *token; /* hexadecimal */
    uint32_t slot;
    uint64_t serial; /* Node's cluster.worker.id, from 1 */
    bool node_channel;
};

/* A NULL-terminated list to be freed with text_list_clear(): 0 or UV_ENOMEM. The variables of a
 * Node parent's channel and of a master above us are left out, and those that start with one of
 * settings->filter_env. */
int environment_create(struct text_list *ret_list, const struct environment_options *options);

#endif
