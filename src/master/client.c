#include "master/client.h"

#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct client *client_create(int descriptor) {
    struct client *client = calloc(1, sizeof *client);

    if (!client)
        return NULL;
    list_init(&client->node);
    client->descriptor = descriptor;
    return client;
}

void client_destroy(struct client *client) {
    list_remove(&client->node);
    close(client->descriptor);
    free(client);
}

void client_set_address(struct client *client, const struct sockaddr *address, socklen_t length) {
    if (length < sizeof(sa_family_t) || length > sizeof client->address)
        return;
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
        return;
    memcpy(&client->address, address, length);
    client->address_length = length;
    if (address->sa_family == AF_INET)
        client->key =
            policy_key(&client->address.ipv4.sin_addr, sizeof client->address.ipv4.sin_addr);
    else
        client->key =
            policy_key(&client->address.ipv6.sin6_addr, sizeof client->address.ipv6.sin6_addr);
}

void client_note_cookie(struct client *client) {
    socklen_t length = sizeof client->cookie;

    if (getsockopt(client->descriptor, SOL_SOCKET, SO_COOKIE, &client->cookie, &length) < 0)
        client->cookie = 0;
}
