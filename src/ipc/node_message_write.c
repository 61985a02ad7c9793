#include "ipc/node_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOCKNAME_MAX 128 /* the longest IPv6 address takes 45 bytes of it */

/* The text as a JSON string; the caller frees it. NULL when memory is out. */
static char *quote(const char *text) {
    json_t *string = json_string(text);
    char *quoted = json_dumps(string, JSON_ENCODE_ANY);

    json_decref(string);
    return quoted;
}

static int print_quoted(struct buffer *out, const char *before, const char *text,
                        const char *after) {
    char *quoted = quote(text);
    int error;

    if (!quoted)
        return -ENOMEM;
    error = buffer_print(out, "%s%s%s\n", before, quoted, after);
    free(quoted);
    return error;
}

/* The field `sockname` with its leading comma, or "" for an address that Node gives none for. */
static void print_sockname(char out[SOCKNAME_MAX], const struct sockaddr *address,
                           socklen_t length) {
    char host[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in6 ipv6;
    struct sockaddr_in ipv4;

    out[0] = '\0';
    if (!address)
        return;
    if (address->sa_family == AF_INET && length >= sizeof(ipv4)) {
        memcpy(&ipv4, address, sizeof(ipv4));
        inet_ntop(AF_INET, &ipv4.sin_addr, host, sizeof(host));
        snprintf(out, SOCKNAME_MAX,
                 ",\"sockname\":{\"address\":\"%s\",\"family\":\"IPv4\",\"port\":%d}", host,
                 ntohs(ipv4.sin_port));
    } else if (address->sa_family == AF_INET6 && length >= sizeof(ipv6)) {
        memcpy(&ipv6, address, sizeof(ipv6));
        inet_ntop(AF_INET6, &ipv6.sin6_addr, host, sizeof(host));
        snprintf(out, SOCKNAME_MAX,
                 ",\"sockname\":{\"address\":\"%s\",\"family\":\"IPv6\",\"port\":%d}", host,
                 ntohs(ipv6.sin6_port));
    }
}

int node_message_listen_reply(struct buffer *out, const struct node_listen_reply *reply,
                              int64_t sequence) {
    char sockname[SOCKNAME_MAX] = "";
    char number[16] = "null";
    char *key = quote(reply->key);
    int error;

    if (!key)
        return -ENOMEM;
    if (reply->error)
        snprintf(number, sizeof(number), "%d", reply->error);
    else
        print_sockname(sockname, reply->address, reply->address_length);
    error = buffer_print(out,
                         "{\"cmd\":\"NODE_CLUSTER\",\"errno\":%s,\"key\":%s,\"ack\":%" PRId64
                         ",\"data\":%s%s,\"seq\":%" PRId64 "}\n",
                         number, key, reply->acknowledges, reply->data, sockname, sequence);
    free(key);
    return error;
}

int node_message_shared_reply(struct buffer *out, const struct node_listen_reply *reply, bool udp,
                              int64_t sequence) {
    char *key = quote(reply->key);
    int error;

    if (!key)
        return -ENOMEM;
    error = buffer_print(out,
                         "{\"cmd\":\"NODE_HANDLE\",\"type\":\"%s.Native\",\"msg\":"
                         "{\"cmd\":\"NODE_CLUSTER\",\"errno\":0,\"key\":%s,\"ack\":%" PRId64
                         ",\"data\":%s,\"seq\":%" PRId64 "}}\n",
                         udp ? "dgram" : "net", key, reply->acknowledges, reply->data, sequence);
    free(key);
    return error;
}

int node_message_reply_plain(struct buffer *out, int64_t acknowledges, int64_t sequence) {
    return buffer_print(out, "{\"cmd\":\"NODE_CLUSTER\",\"ack\":%" PRId64 ",\"seq\":%" PRId64 "}\n",
                        acknowledges, sequence);
}

int node_message_disconnect(struct buffer *out, int64_t sequence) {
    return buffer_print(
        out, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\",\"seq\":%" PRId64 "}\n", sequence);
}

static int append_line(struct buffer *out, const char *line) {
    return buffer_append(out, line, strlen(line));
}

int node_message_handle_ack(struct buffer *out) {
    return append_line(out, "{\"cmd\":\"NODE_HANDLE_ACK\"}\n");
}

int node_message_handle_nack(struct buffer *out) {
    return append_line(out, "{\"cmd\":\"NODE_HANDLE_NACK\"}\n");
}

int node_message_socket_count(struct buffer *out, const char *key) {
    return print_quoted(out, "{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":", key, ",\"count\":0}");
}

int node_message_socket_all_closed(struct buffer *out, const char *key) {
    return print_quoted(out, "{\"cmd\":\"NODE_SOCKET_ALL_CLOSED\",\"key\":", key, "}");
}

int node_message_user_text(struct buffer *out, const char *text) {
    return print_quoted(out, "", text, "");
}

static char *put_number(char *at, int64_t value) {
    char digits[20]; /* of the largest uint64_t */
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t count = 0;

    do {
        digits[sizeof(digits) - ++count] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *at++ = '-';
    memcpy(at, digits + sizeof(digits) - count, count);
    return at + count;
}

size_t node_message_newconn(char line[NODE_NEWCONN_MAX], uint32_t key, int64_t sequence) {
    char *at = stpcpy(line, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":"
                            "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"newconn\",\"key\":\"");

    at = put_number(at, key);
    at = stpcpy(at, "\",\"seq\":");
    at = put_number(at, sequence);
    at = stpcpy(at, "}}\n");
    return (size_t)(at - line);
}
