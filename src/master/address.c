#include "master/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static void describe_unix(const struct sockaddr_un *address, socklen_t length,
                          char text[ADDRESS_TEXT_MAX]) {
    size_t start = offsetof(struct sockaddr_un, sun_path);
    size_t size = length > start ? length - start : 0;
    bool abstract = size > 0 && address->sun_path[0] == '\0';

    if (size == 0) {
        snprintf(text, ADDRESS_TEXT_MAX, "unix");
        return;
    }
    if (!abstract)
        size = strnlen(address->sun_path, size);
    text[0] = '@';
    text_escape(text + abstract, ADDRESS_TEXT_MAX - 1, address->sun_path + abstract,
                size - abstract);
}

void address_describe(const struct sockaddr *address, socklen_t length,
                      char text[ADDRESS_TEXT_MAX]) {
    char host[INET6_ADDRSTRLEN];

    if (length >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, host,
                  sizeof host);
        snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, address_port(address));
    } else if (length >= sizeof(struct sockaddr_in6) && address->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, host,
                  sizeof host);
        snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", host, address_port(address));
    } else if (length >= sizeof(sa_family_t) && address->sa_family == AF_UNIX) {
        describe_unix((const struct sockaddr_un *)(const void *)address, length, text);
    } else {
        snprintf(text, ADDRESS_TEXT_MAX, "an address of no known kind");
    }
}

uint16_t address_port(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
    if (address->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
    return 0;
}
