/* Node's cluster messages, as a primary reads and writes them.
 *
 * Source: the behaviour of Node 18 to 24, in docs/ipc-protocol.md. A line from a worker becomes a
 * struct; an answer becomes a line. JSON is not seen outside node_message.c,
 * which reads, and node_message_write.c, which writes. Pure: no socket, no clock. */
#ifndef BATON_IPC_NODE_MESSAGE_H
#define BATON_IPC_NODE_MESSAGE_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum node_message_type {
    NODE_MESSAGE_USER,    /* process.send() of the program: `text` when it was a plain string */
    NODE_MESSAGE_UNKNOWN, /* internal, but of no kind that a primary must answer: to be ignored, as
                             Node does */
    NODE_MESSAGE_ONLINE,  /* act online */
    NODE_MESSAGE_QUERY_SERVER, /* act queryServer: the worker asks for a listener; answer it */
    NODE_MESSAGE_LISTENING,    /* act listening */
    NODE_MESSAGE_CLOSE,        /* act close: the worker gives a listener up */
    NODE_MESSAGE_EXITING,    /* act exitedAfterDisconnect: answer with node_message_reply_plain() */
    NODE_MESSAGE_ACCEPTED,   /* ack + accepted: the worker has taken the client */
    NODE_MESSAGE_REFUSED,    /* ack + accepted false: it has not */
    NODE_MESSAGE_HANDLE_ACK, /* NODE_HANDLE_ACK: the descriptor of the oldest NODE_HANDLE line has
                                arrived */
    NODE_MESSAGE_HANDLE_NACK, /* NODE_HANDLE_NACK: it has not */
    NODE_MESSAGE_HANDLE, /* NODE_HANDLE: the program sent us a descriptor; acknowledge and close it
                          */
    NODE_MESSAGE_SOCKET_COUNT,  /* NODE_SOCKET_GET_COUNT: answer with node_message_socket_count() */
    NODE_MESSAGE_SOCKET_CLOSED, /* NODE_SOCKET_NOTIFY_CLOSE: answer with
                                   node_message_socket_all_closed() */
};

enum node_address_type {
    NODE_ADDRESS_TCP4,
    NODE_ADDRESS_TCP6,
    NODE_ADDRESS_UNIX,
    NODE_ADDRESS_UDP4,
    NODE_ADDRESS_UDP6,
    NODE_ADDRESS_DESCRIPTOR, /* listen({fd: N}): names a descriptor of the primary */
};

/* queryServer and listening. */
struct node_listen_request {
    enum node_address_type type;
    char address[108]; /* "" when the worker named no host; a path for a Unix socket; always ends
                          in NUL, which is not counted */
    uint32_t address_length;
    bool has_address;
    bool address_too_long; /* it does not fit, `address` holds its start: answer -EINVAL, as Node
                              does for a path that is too long */
    bool abstract;     /* the Unix path was "<directory>/\0NAME", Node's form of an abstract socket:
                          `address` is NAME, without the leading NUL and with any NUL in it */
    int32_t port;      /* 0 to 65535; -1 where there is none */
    int32_t backlog;   /* 1 and up; 511 when the worker named none */
    int32_t index;     /* the how-manieth listen of this worker on this very address */
    uint32_t flags;    /* NODE_FLAG_*; 0 when absent */
    bool readable_all; /* Unix socket: chmod a+r */
    bool writable_all; /* Unix socket: chmod a+w */
    int32_t descriptor; /* `fd`, -1 when absent */
    const char
        *data; /* JSON text, e.g. {"ticketKeys":"…"}; "null" when there is none; never NULL */
};

#define NODE_FLAG_TCP_IPV6ONLY  1u
#define NODE_FLAG_TCP_REUSEPORT 2u
#define NODE_FLAG_UDP_IPV6ONLY  1u
#define NODE_FLAG_UDP_REUSEADDR 4u

#define NODE_MESSAGE_KEY_MAX 256

struct node_message {
    enum node_message_type type;
    int64_t sequence;                  /* `seq`, for the `ack` of an answer; -1 when absent */
    int64_t acknowledges;              /* `ack`; -1 when absent */
    struct node_listen_request listen; /* QUERY_SERVER, LISTENING */
    char key[NODE_MESSAGE_KEY_MAX];    /* CLOSE, SOCKET_COUNT, SOCKET_CLOSED */
    char text[64];  /* USER: the string sent, cut; "" for anything else than a string, and for a
                       string with a NUL in it */
    void *document; /* what `data` points into; node_message_clear() frees it */
};

/* Reads one line. 0 with *ret_message filled in; UV_EPROTO when the line is no JSON, or is internal
 * and misses or mistypes what its kind needs (the worker is then not one that we can talk to);
 * UV_ENOMEM. What nests deeper than 64 levels is not looked into: it is a message of the program's
 * own (node_message_type_of_cut()). *ret_message needs node_message_clear() only after 0. */
int node_message_read(const char *line, size_t length, struct node_message *ret_message);
void node_message_clear(struct node_message *message);

/* Of a line that framing has cut, or that nests too deeply, only the start counts:
 * NODE_MESSAGE_HANDLE when it brings a descriptor (acknowledge and close it, or the worker holds
 * back all that it says later), otherwise NODE_MESSAGE_USER. No kind that is about clients is ever
 * that long. */
enum node_message_type node_message_type_of_cut(const char *line, size_t length);

/* What the answer to queryServer says of the listener. */
struct node_listen_reply {
    int64_t acknowledges; /* the request's sequence */
    int error;            /* 0 or a negative errno: -98 EADDRINUSE … */
    const char *key;      /* names the listener in this worker's later messages */
    const char *data;     /* JSON text; the first worker's, for all; a tls server dies of "null" */
    const struct sockaddr
        *address; /* of the listening socket; NULL for a Unix socket or an error */
    socklen_t address_length;
};

/* Each of these appends one line with its newline: 0, or UV_ENOMEM with the buffer unchanged. Texts
 * are UTF-8. `sequence` numbers our own messages.
 *
 * listen_reply: the master will hand over clients itself (round-robin mode); also every answer that
 * is an error. shared_reply: to be sent with the listening (or bound UDP) socket itself; never an
 * error. */
int node_message_listen_reply(struct buffer *out, const struct node_listen_reply *reply,
                              int64_t sequence);
int node_message_shared_reply(struct buffer *out, const struct node_listen_reply *reply, bool udp,
                              int64_t sequence);
int node_message_reply_plain(struct buffer *out, int64_t acknowledges, int64_t sequence);
int node_message_disconnect(struct buffer *out, int64_t sequence);
int node_message_handle_ack(struct buffer *out);
int node_message_handle_nack(struct buffer *out);
int node_message_socket_count(struct buffer *out, const char *key);
int node_message_socket_all_closed(struct buffer *out, const char *key);
int node_message_user_text(struct buffer *out,
                           const char *text); /* process.on('message') sees the string */

/* Writes the newconn line for a client, to be sent with the client's descriptor, into `line`,
 * without allocating: it is the one message that is written for each connection. The length. */
#define NODE_NEWCONN_MAX 192
size_t node_message_newconn(char line[NODE_NEWCONN_MAX], uint32_t key, int64_t sequence);

#endif
