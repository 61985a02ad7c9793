#include "worker/preload_options.h"

#include "worker/preload_master.h"
#include "worker/preload_socket.h"
#include "worker/system_call.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>

/* The two that took over when time got 64 bits on 32-bit machines; the same thing here. */
#define RCVTIMEO_NEW 66
#define SNDTIMEO_NEW 67

static bool is_timeout(struct preload_option option) {
    return option.level == SOL_SOCKET &&
           (option.name == SO_RCVTIMEO || option.name == SO_SNDTIMEO ||
            option.name == RCVTIMEO_NEW || option.name == SNDTIMEO_NEW);
}

/* Those whose value refers to our memory or descriptors, which the master has not. */
static bool is_bound_to_process(struct preload_option option) {
    return option.level == SOL_SOCKET &&
           (option.name == SO_ATTACH_FILTER || option.name == SO_ATTACH_BPF ||
            option.name == SO_ATTACH_REUSEPORT_CBPF || option.name == SO_ATTACH_REUSEPORT_EBPF);
}

static int hand_out(const void *bytes, uint32_t size, void *value, socklen_t *length) {
    socklen_t room = *length < size ? *length : size;

    preload_copy(value, bytes, room);
    *length = room;
    return 0;
}

/* What is this worker's own, or the same for every TCP listener. */
static bool answer_locally(int descriptor, const struct native_name *name, int option,
                           int *ret_value) {
    sa_family_t family = AF_UNSPEC;

    switch (option) {
    case SO_TYPE:
        *ret_value = SOCK_STREAM;
        return true;
    case SO_ERROR:
        *ret_value = 0;
        return true;
    case SO_ACCEPTCONN:
        *ret_value = preload_is_listening(descriptor);
        return true;
    case SO_DOMAIN:
        preload_copy(&family, name->address, sizeof(family));
        *ret_value = name->address_length > 0 ? family : AF_UNIX;
        return true;
    default:
        return false;
    }
}

static void name_option(struct native_request *request, const struct native_name *name,
                        struct preload_option option, socklen_t length) {
    preload_clear(request, sizeof(*request));
    request->listener = name->listener;
    request->flags = (uint32_t)option.level;
    request->value = option.name;
    request->address_length = length;
}

static int ask_for_option(const struct native_name *name, struct preload_option option, void *value,
                          socklen_t *length) {
    socklen_t room = *length < NATIVE_ADDRESS_SIZE ? *length : NATIVE_ADDRESS_SIZE;
    struct native_request request;
    struct preload_answer answer;
    int error;

    name_option(&request, name, option, room);
    request.type = NATIVE_GET_OPTION;
    error = preload_ask_master(&request, -1, &answer);
    if (error < 0)
        return error;
    preload_close_descriptors(&answer);
    return hand_out(answer.reply.address, answer.reply.address_length, value, length);
}

int preload_get_option(int descriptor, const struct native_name *name, struct preload_option option,
                       void *value, socklen_t *length) {
    int number;

    if (is_timeout(option))
        return system_getsockopt(descriptor, option.level, option.name, value, length);
    if (!length || !value)
        return -EFAULT;
    if (*length > INT_MAX)
        return -EINVAL;
    if (option.level == SOL_SOCKET && answer_locally(descriptor, name, option.name, &number))
        return hand_out(&number, sizeof(number), value, length);
    return ask_for_option(name, option, value, length);
}

static int ask_to_set(const struct native_name *name, struct preload_option option,
                      const void *value, socklen_t length) {
    struct native_request request;
    struct preload_answer answer;
    int error;

    name_option(&request, name, option, length);
    request.type = NATIVE_SET_OPTION;
    preload_copy(request.address, value, length);
    error = preload_ask_master(&request, -1, &answer);
    if (error == 0)
        preload_close_descriptors(&answer);
    return error;
}

int preload_set_option(int descriptor, const struct native_name *name, struct preload_option option,
                       const void *value, socklen_t length) {
    int error;

    if (is_bound_to_process(option))
        return -ENOPROTOOPT;
    if (length > NATIVE_ADDRESS_SIZE)
        return -EINVAL;
    if (!value && length > 0)
        return -EFAULT;
    if (!is_timeout(option))
        return ask_to_set(name, option, value, length);
    error = system_setsockopt(descriptor, option.level, option.name, value, length);
    if (error == 0) /* what it accepts inherits it; that waits for nothing else */
        ask_to_set(name, option, value, length);
    return error;
}
