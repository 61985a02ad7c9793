#include "cli/dialect.h"

#include <stddef.h>
#include <string.h>

static const struct cli_dialect dialects[] = {
    {"baton", "[baton] ", "[baton] ", "[baton] ", "~/.baton", "BATON_HOME", false, false},
    {"pm2", "[PM2] ", "[PM2][WARN] ", "[PM2][ERROR] ", "~/.pm2", "PM2_HOME", true, false},
    {"pm2-runtime", "[PM2] ", "[PM2][WARN] ", "[PM2][ERROR] ", "~/.pm2", "PM2_HOME", true, true},
};

const struct cli_dialect *cli_dialect_of(const char *called) {
    const char *slash = called ? strrchr(called, '/') : NULL;
    const char *name = slash ? slash + 1 : called;

    for (size_t i = 1; name && i < sizeof dialects / sizeof dialects[0]; i++)
        if (strcmp(name, dialects[i].name) == 0)
            return &dialects[i];
    return &dialects[0];
}
