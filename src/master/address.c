#include "master/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <uv.h>

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

static int parse_unix(const char *text, struct sockaddr_storage *ret_address,
                      socklen_t *ret_length) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(text);

    if (length >= sizeof address.sun_path)
        return UV_EINVAL;
    memcpy(address.sun_path, text, length);
    memcpy(ret_address, &address, sizeof address);
    *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return 0;
}

static int parse_ipv6(const char *host, uint16_t port, struct sockaddr_storage *ret_address,
                      socklen_t *ret_length) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (inet_pton(AF_INET6, host, &address.sin6_addr) != 1)
        return UV_EINVAL;
    memcpy(ret_address, &address, sizeof address);
    *ret_length = sizeof address;
    return 0;
}

static int parse_ipv4(const char *host, uint16_t port, struct sockaddr_storage *ret_address,
                      socklen_t *ret_length) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return UV_EINVAL;
    memcpy(ret_address, &address, sizeof address);
    *ret_length = sizeof address;
    return 0;
}

int address_parse(const char *text, struct sockaddr_storage *ret_address, socklen_t *ret_length) {
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2] = "";
    size_t length = colon ? (size_t)(colon - text) : 0;
    int64_t port;

    memset(ret_address, 0, sizeof *ret_address);
    if (text[0] == '/')
        return parse_unix(text, ret_address, ret_length);
    if (length >= sizeof host || text_to_number(colon ? colon + 1 : text, 1, UINT16_MAX, &port) < 0)
        return UV_EINVAL;
    memcpy(host, text, length);
    if (!colon)
        return parse_ipv6("::", (uint16_t)port, ret_address, ret_length);
    if (host[0] != '[' || host[length - 1] != ']')
        return parse_ipv4(host, (uint16_t)port, ret_address, ret_length);
    host[length - 1] = '\0';
    return parse_ipv6(host + 1, (uint16_t)port, ret_address, ret_length);
}

/* As IPv6 has it, where IPv4 addresses are a part of it. */
static struct in6_addr host_of(const struct sockaddr *address) {
    struct in6_addr host = IN6ADDR_ANY_INIT;
    struct in_addr ipv4;

    if (address->sa_family == AF_INET6)
        return ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    ipv4 = ((const struct sockaddr_in *)(const void *)address)->sin_addr;
    if (ipv4.s_addr == htonl(INADDR_ANY))
        return host;
    host.s6_addr[10] = 0xff;
    host.s6_addr[11] = 0xff;
    memcpy(&host.s6_addr[12], &ipv4, sizeof ipv4);
    return host;
}

static size_t name_length(const struct sockaddr_un *address, socklen_t length) {
    size_t start = offsetof(struct sockaddr_un, sun_path);
    size_t size = length > start ? length - start : 0;
    bool abstract = size > 0 && address->sun_path[0] == '\0';

    return abstract ? size : strnlen(address->sun_path, size);
}

static bool same_name(const struct sockaddr_un *one, socklen_t one_length,
                      const struct sockaddr_un *other, socklen_t other_length) {
    size_t length = name_length(one, one_length);

    return length == name_length(other, other_length) &&
           memcmp(one->sun_path, other->sun_path, length) == 0;
}

static bool is_internet(const struct sockaddr *address) {
    return address->sa_family == AF_INET || address->sa_family == AF_INET6;
}

bool address_overlaps(const struct sockaddr *one, socklen_t one_length,
                      const struct sockaddr *other, socklen_t other_length) {
    struct in6_addr hosts[2];

    if (is_internet(one) != is_internet(other))
        return false;
    if (!is_internet(one))
        return same_name((const struct sockaddr_un *)(const void *)one, one_length,
                         (const struct sockaddr_un *)(const void *)other, other_length);
    hosts[0] = host_of(one);
    hosts[1] = host_of(other);
    return address_port(one) == address_port(other) &&
           (IN6_IS_ADDR_UNSPECIFIED(&hosts[0]) || IN6_IS_ADDR_UNSPECIFIED(&hosts[1]) ||
            memcmp(&hosts[0], &hosts[1], sizeof hosts[0]) == 0);
}
