#include "master/listener.h"

#include <string.h>

bool listener_key_equal(const struct listener_key *one, const struct listener_key *other) {
    if (one->kind != other->kind || one->length != other->length)
        return false;
    if (memcmp(&one->address, &other->address, one->length) != 0)
        return false;
    return one->kind == LISTENER_UNIX || address_port(&one->address.any) != 0 ||
           one->index == other->index;
}

void listener_describe(const struct listener *listener, char text[ADDRESS_TEXT_MAX]) {
    address_describe((const struct sockaddr *)&listener->bound, listener->bound_length, text);
}
