/* The systemd unit that starts the daemon at boot, as text. Pure. systemd.service(5), and
 * systemd.syntax(7) for what must be escaped. */
#ifndef BATON_CLI_SYSTEMD_UNIT_H
#define BATON_CLI_SYSTEMD_UNIT_H

#include "base/buffer.h"

struct systemd_unit {
    const char *program;       /* absolute path of this binary */
    const char *name;          /* by which it is called: baton, pm2 */
    const char *user;          /* whose daemon it is */
    const char *home;          /* the daemon's, absolute */
    const char *home_variable; /* that says so: BATON_HOME, PM2_HOME */
    const char *path;          /* PATH of the daemon and so of the apps, or NULL */
};

/* Appends the unit. 0, UV_EINVAL when a text holds a control byte, which no unit can, or
 * UV_ENOMEM, and then *buffer is undefined. */
int systemd_unit_print(const struct systemd_unit *unit, struct buffer *buffer);

/* "NAME-USER.service": what is no letter, digit, '_', '-' or '.' becomes '_'. 0 or
 * UV_ENAMETOOLONG. */
int systemd_unit_name(const char *name, const char *user, char *text, size_t size);

#endif
