/* The systemd unit that starts the daemon at boot, as text. Pure. systemd.service(5), and
 * systemd.syntax(7) for what must be escaped. */
#ifndef BATON_CLI_SYSTEMD_UNIT_H
#define BATON_CLI_SYSTEMD_UNIT_H

#include "base/buffer.h"

struct systemd_unit {
    const char *program; /* absolute path of this binary, by the name (baton, pm2) to be used */
    const char *user;
    const char *home;          /* the daemon's, absolute */
    const char *home_variable; /* BATON_HOME or PM2_HOME */
    const char *path;          /* PATH of the daemon and so of the apps, or NULL */
};

/* Appends the unit. 0, UV_EINVAL when a text holds what no unit can (a control byte), or
 * UV_ENOMEM, with *buffer unchanged. */
int systemd_unit_print(const struct systemd_unit *unit, struct buffer *buffer);

/* "baton-USER.service": what is no letter, digit, '_', '-' or '.' in the user's name becomes '_'.
 * 0 or UV_ENAMETOOLONG. */
int systemd_unit_name(const char *prefix, const char *user, char *name, size_t size);

#endif
