#include "daemon/dependency.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64 /* a way that is longer than this is taken for a circle */

struct walk {
    const char *start;
    dependency_lookup lookup;
    void *owner;
    const char *names[DEPTH_MAX];
    unsigned depth;
};

/* Depth first; true with the way in `names` when it comes back to the start. */
static bool leads_back(struct walk *walk, const struct settings *settings) {
    for (size_t i = 0; i < settings->depends_on.count; i++) {
        const char *name = settings->depends_on.items[i];
        const struct settings *next = walk->lookup(walk->owner, name);

        if (!next)
            continue;
        walk->names[walk->depth++] = name;
        if (strcmp(name, walk->start) == 0 || walk->depth == DEPTH_MAX || leads_back(walk, next))
            return true;
        walk->depth--;
    }
    return false;
}

bool dependency_cycle(const struct settings *settings, dependency_lookup lookup, void *owner,
                      char *path, size_t size) {
    struct walk walk = {.start = settings->name, .lookup = lookup, .owner = owner};
    size_t length;

    if (!leads_back(&walk, settings))
        return false;
    length = (size_t)snprintf(path, size, "%s", walk.start);
    for (unsigned i = 0; i < walk.depth && length < size; i++)
        length += (size_t)snprintf(path + length, size - length, " → %s", walk.names[i]);
    return true;
}
