/* System calls without libc, for the preload library: it stands in libc's place, runs before libc
 * is ready, in children of vfork(2) and in signal handlers, and is one file for every libc.
 *
 * Each function is named after its call and answers what the kernel does: a negative errno on
 * failure. errno is left alone. The descriptors that the calls make are as the flags say; nothing
 * is added. */
#ifndef BATON_WORKER_SYSTEM_CALL_H
#define BATON_WORKER_SYSTEM_CALL_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#if defined(__clang_analyzer__)
/* A checker does not see what assembly writes to: as a function of elsewhere it may be anything. */
long system_call(long number, long a, long b, long c, long d, long e);
#elif defined(__x86_64__)
static inline long system_call(long number, long a, long b, long c, long d, long e) {
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long system_call(long number, long a, long b, long c, long d, long e) {
    register long which __asm__("x8") = number;
    register long result __asm__("x0") = a;
    register long second __asm__("x1") = b;
    register long third __asm__("x2") = c;
    register long fourth __asm__("x3") = d;
    register long fifth __asm__("x4") = e;

    __asm__ volatile("svc 0"
                     : "+r"(result)
                     : "r"(which), "r"(second), "r"(third), "r"(fourth), "r"(fifth)
                     : "memory");
    return result;
}
#else
#error "The preload library knows the system calls of x86_64 and aarch64 only."
#endif

static inline int system_open(const char *path, int flags) {
    return (int)system_call(SYS_openat, -100 /* AT_FDCWD */, (intptr_t)path, flags, 0, 0);
}

static inline long system_read(int descriptor, void *bytes, size_t size) {
    return system_call(SYS_read, descriptor, (intptr_t)bytes, (long)size, 0, 0);
}

static inline int system_close(int descriptor) {
    return (int)system_call(SYS_close, descriptor, 0, 0, 0, 0);
}

static inline void system_sleep_ms(long ms) {
    struct timespec duration = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    system_call(SYS_nanosleep, (intptr_t)&duration, 0, 0, 0, 0);
}

static inline int system_dup3(int from, int to, int flags) {
    return (int)system_call(SYS_dup3, from, to, flags, 0, 0);
}

static inline int system_fcntl(int descriptor, int command, long argument) {
    return (int)system_call(SYS_fcntl, descriptor, command, argument, 0, 0);
}

static inline int system_socket(int domain, int type, int protocol) {
    return (int)system_call(SYS_socket, domain, type, protocol, 0, 0);
}

static inline int system_bind(int socket, const void *address, socklen_t length) {
    return (int)system_call(SYS_bind, socket, (intptr_t)address, length, 0, 0);
}

static inline int system_listen(int socket, int backlog) {
    return (int)system_call(SYS_listen, socket, backlog, 0, 0, 0);
}

static inline int system_connect(int socket, const void *address, socklen_t length) {
    return (int)system_call(SYS_connect, socket, (intptr_t)address, length, 0, 0);
}

static inline int system_accept4(int socket, void *address, socklen_t *length, int flags) {
    return (int)system_call(SYS_accept4, socket, (intptr_t)address, (intptr_t)length, flags, 0);
}

static inline int system_shutdown(int socket, int how) {
    return (int)system_call(SYS_shutdown, socket, how, 0, 0, 0);
}

static inline int system_getsockname(int socket, void *address, socklen_t *length) {
    return (int)system_call(SYS_getsockname, socket, (intptr_t)address, (intptr_t)length, 0, 0);
}

static inline int system_getpeername(int socket, void *address, socklen_t *length) {
    return (int)system_call(SYS_getpeername, socket, (intptr_t)address, (intptr_t)length, 0, 0);
}

static inline int system_getsockopt(int socket, int level, int name, void *value,
                                    socklen_t *length) {
    return (int)system_call(SYS_getsockopt, socket, level, name, (intptr_t)value, (intptr_t)length);
}

static inline int system_setsockopt(int socket, int level, int name, const void *value,
                                    socklen_t length) {
    return (int)system_call(SYS_setsockopt, socket, level, name, (intptr_t)value, length);
}

static inline long system_sendmsg(int socket, const struct msghdr *message, int flags) {
    return system_call(SYS_sendmsg, socket, (intptr_t)message, flags, 0, 0);
}

static inline long system_recvmsg(int socket, struct msghdr *message, int flags) {
    return system_call(SYS_recvmsg, socket, (intptr_t)message, flags, 0, 0);
}

static inline int system_clock_gettime(clockid_t clock, struct timespec *ret_time) {
    return (int)system_call(SYS_clock_gettime, clock, (intptr_t)ret_time, 0, 0, 0);
}

/* The soft limit of open descriptors. */
static inline int system_descriptor_limit(uint64_t *ret_limit) {
    uint64_t limit[2];
    int error = (int)system_call(SYS_prlimit64, 0, 7 /* RLIMIT_NOFILE */, 0, (intptr_t)limit, 0);

    if (error == 0)
        *ret_limit = limit[0];
    return error;
}

#endif
