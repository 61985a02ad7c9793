#include "master/listener_option.h"

#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#define PACKET_FILTER 64 /* the first option of its tables */

/* Levels and options whose values are plain data. Others hold pointers, which would be looked for
 * in our memory. */
static bool is_plain_option(uint32_t level, int32_t name) {
    if (level == SOL_SOCKET)
        return name != SO_ATTACH_FILTER && name != SO_ATTACH_REUSEPORT_CBPF &&
               name != SO_ATTACH_BPF && name != SO_ATTACH_REUSEPORT_EBPF;
    if (level == IPPROTO_IP)
        return name >= 0 && name < PACKET_FILTER;
    /* Those of the packet filter stand between others here (linux/netfilter_ipv6/ip6_tables.h). */
    if (level == IPPROTO_IPV6)
        return name >= 0 && name < 80 && name != PACKET_FILTER && name != PACKET_FILTER + 1 &&
               name != PACKET_FILTER + 4 && name != PACKET_FILTER + 5;
    return level == IPPROTO_TCP;
}

static bool is_linger(const struct native_request *request) {
    return request->flags == SOL_SOCKET && request->value == SO_LINGER;
}

static void get_linger(const struct listener *listener, uint32_t length,
                       struct native_reply *reply) {
    size_t size = sizeof listener->linger;

    reply->address_length = (uint32_t)(length < size ? length : size);
    memcpy(reply->address, &listener->linger, reply->address_length);
}

int listener_get_option(const struct listener *listener, const struct native_request *request,
                        struct native_reply *reply) {
    socklen_t length = request->address_length;

    if (!is_plain_option(request->flags, request->value))
        return -ENOPROTOOPT;
    if (is_linger(request) && listener->linger.l_onoff) {
        get_linger(listener, request->address_length, reply);
        return 0;
    }
    if (getsockopt(listener->descriptor, (int)request->flags, request->value, reply->address,
                   &length) < 0)
        return uv_translate_sys_error(errno);
    reply->address_length = (uint32_t)length;
    return 0;
}

static int set_option(const struct listener *listener, const struct native_request *request) {
    if (setsockopt(listener->descriptor, (int)request->flags, request->value, request->address,
                   (socklen_t)request->address_length) < 0)
        return uv_translate_sys_error(errno);
    return 0;
}

/* A process that runs as another user than we do may not set what we may: the mark of packets, say.
 * Capabilities are a thread's own (capabilities(7)). */
static int set_without_rights(const struct listener *listener,
                              const struct native_request *request) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct ours[_LINUX_CAPABILITY_U32S_3];
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    int result;

    if (syscall(SYS_capget, &header, ours) < 0)
        return uv_translate_sys_error(errno);
    memcpy(none, ours, sizeof none);
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        none[i].effective = 0;
    if (syscall(SYS_capset, &header, none) < 0)
        return uv_translate_sys_error(errno);
    result = set_option(listener, request);
    syscall(SYS_capset, &header, ours);
    return result;
}

int listener_set_option(struct listener *listener, const struct native_request *request,
                        uid_t uid) {
    int result;

    if (!is_plain_option(request->flags, request->value))
        return -ENOPROTOOPT;
    result =
        uid == geteuid() ? set_option(listener, request) : set_without_rights(listener, request);
    if (result == 0 && is_linger(request))
        listener_keep_linger(listener);
    return result;
}
