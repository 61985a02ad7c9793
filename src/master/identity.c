#include "master/identity.h"

#include "base/text.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>
#include <uv.h>

static int find_user(const char *name, uid_t *uid, gid_t *gid) {
    int64_t number;
    struct passwd *user = getpwnam(name);

    if (!user && text_to_number(name, 0, INT32_MAX, &number) == 0) {
        *uid = (uid_t)number;
        user = getpwuid(*uid);
        if (user)
            *gid = user->pw_gid;
        return 0;
    }
    if (!user)
        return UV_ENOENT;
    *uid = user->pw_uid;
    *gid = user->pw_gid;
    return 0;
}

static int find_group(const char *name, gid_t *gid) {
    int64_t number;
    struct group *group = getgrnam(name);

    if (group)
        *gid = group->gr_gid;
    else if (text_to_number(name, 0, INT32_MAX, &number) == 0)
        *gid = (gid_t)number;
    else
        return UV_ENOENT;
    return 0;
}

int identity_resolve(const struct settings *settings, struct identity *ret_identity) {
    uid_t uid = getuid();
    gid_t gid = getgid();
    int result = settings->uid ? find_user(settings->uid, &uid, &gid) : 0;

    if (result == 0 && settings->gid)
        result = find_group(settings->gid, &gid);
    if (result < 0)
        return result;
    *ret_identity =
        (struct identity){.uid = uid, .gid = gid, .differs = uid != getuid() || gid != getgid()};
    return 0;
}
