#include "daemon/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

/* Which byte of the file is which lock. */
enum { BYTE_EXCLUSION, BYTE_OWNER };

#define TRIES_MAX 100 /* the file was removed between its opening and the lock */

static struct flock byte_lock(int byte) {
    return (struct flock){
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1, .l_pid = 0};
}

static int owner_of(int descriptor, pid_t *ret_pid) {
    struct flock lock = byte_lock(BYTE_OWNER);

    if (fcntl(descriptor, F_GETLK, &lock) < 0)
        return uv_translate_sys_error(errno);
    *ret_pid = lock.l_type == F_UNLCK || lock.l_pid < 0 ? 0 : lock.l_pid;
    return 0;
}

static int write_number(int descriptor) {
    char text[16];
    int length = snprintf(text, sizeof text, "%d\n", (int)getpid());

    if (ftruncate(descriptor, 0) < 0 || pwrite(descriptor, text, (size_t)length, 0) != length)
        return uv_translate_sys_error(errno);
    return 0;
}

/* Somebody may have removed the file and another one locked a new one of that name. */
static bool is_at(const char *path, const struct stat *status) {
    struct stat now;

    return lstat(path, &now) == 0 && now.st_dev == status->st_dev && now.st_ino == status->st_ino;
}

static int lock_bytes(int descriptor) {
    struct flock exclusion = byte_lock(BYTE_EXCLUSION);
    struct flock owner = byte_lock(BYTE_OWNER);

    if (fcntl(descriptor, F_OFD_SETLK, &exclusion) < 0)
        return errno == EACCES || errno == EAGAIN ? UV_EEXIST : uv_translate_sys_error(errno);
    /* It is for those who ask; the exclusion stands without it. */
    fcntl(descriptor, F_SETLK, &owner);
    return 0;
}

/* UV_EAGAIN: the file is not the one at the path any more. */
static int try_take(struct lock *lock, const char *path, pid_t *ret_holder) {
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat status;
    int result;

    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    result = lock_bytes(descriptor);
    if (result == UV_EEXIST && owner_of(descriptor, ret_holder) < 0)
        *ret_holder = 0;
    if (result == 0 && fstat(descriptor, &status) < 0)
        result = uv_translate_sys_error(errno);
    if (result == 0 && !is_at(path, &status))
        result = UV_EAGAIN;
    if (result == 0)
        result = write_number(descriptor);
    if (result < 0) {
        close(descriptor);
        return result;
    }
    *lock =
        (struct lock){.descriptor = descriptor, .device = status.st_dev, .inode = status.st_ino};
    return 0;
}

int lock_take(struct lock *lock, const char *path, pid_t *ret_holder) {
    pid_t holder = 0;
    int result = UV_EAGAIN;

    for (int tries = 0; result == UV_EAGAIN && tries < TRIES_MAX; tries++)
        result = try_take(lock, path, &holder);
    if (result == 0)
        return 0;
    lock->descriptor = -1;
    if (result == UV_EEXIST && ret_holder)
        *ret_holder = holder;
    return result;
}

void lock_release(struct lock *lock, const char *path) {
    struct stat status = {.st_dev = lock->device, .st_ino = lock->inode};

    if (lock->descriptor < 0)
        return;
    /* While we have the lock nobody else has one on a file of this name but after it was removed:
     * then it is not ours. */
    if (is_at(path, &status))
        unlink(path);
    close(lock->descriptor);
    lock->descriptor = -1;
}

int lock_holder(const char *path, pid_t *ret_holder) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct flock lock = byte_lock(BYTE_EXCLUSION);
    int result = 0;

    if (descriptor < 0)
        return errno == ENOENT || errno == ENOTDIR ? UV_ESRCH : uv_translate_sys_error(errno);
    if (fcntl(descriptor, F_OFD_GETLK, &lock) < 0)
        result = uv_translate_sys_error(errno);
    else if (lock.l_type == F_UNLCK)
        result = UV_ESRCH;
    else
        result = owner_of(descriptor, ret_holder);
    close(descriptor);
    return result;
}
