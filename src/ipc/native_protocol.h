/* The native protocol between a worker and the master: what libbaton, the preload library and any
 * other program speaks that is not Node.
 *
 * Two kinds of socket, both AF_UNIX SOCK_SEQPACKET, so that one record is one message:
 *
 * The worker socket is listening on an abstract name that is in the environment of every worker.
 * One request a connection: connect, send one struct native_request (with the descriptor that its
 * type names, if any), receive one struct native_reply (with descriptors, if its type says so),
 * close.
 *
 * An accept socket is what LISTEN or BIND answers with. Each client arrives on it as one struct
 * native_client with the client's descriptor. Receiving it is accepting it: nothing is sent back.
 * What the worker has not received the master can take back at any time and give to another worker.
 * A record without a descriptor only asks whether somebody still receives: skip it. End of file: no
 * more clients will come; finish the open ones and exit.
 *
 * There are two ways to become a worker of an address. A program that knows of the master sends
 * LISTEN with the address: the master makes the socket. For a program that does not, the preload
 * library sends BIND with the program's own TCP socket when it calls bind(2), puts the accept
 * socket of the reply in its place, and sends LISTEN with the listener's number when the program
 * calls listen(2).
 *
 * Numbers are in the byte order of the machine, addresses as in struct sockaddr. The layout has no
 * padding. */
#ifndef BATON_IPC_NATIVE_PROTOCOL_H
#define BATON_IPC_NATIVE_PROTOCOL_H

#include <stdint.h>

#define NATIVE_MAGIC   0x4e544142u /* "BATN" */
#define NATIVE_VERSION 1

/* The environment of a worker: the name of the worker socket without its leading NUL; 32
 * hexadecimal digits that only this worker knows; its slot, in decimal. */
#define NATIVE_SOCKET_VARIABLE "BATON_SOCKET"
#define NATIVE_TOKEN_VARIABLE  "BATON_TOKEN"
#define NATIVE_SLOT_VARIABLE   "BATON_SLOT"

#define NATIVE_TOKEN_SIZE   16
#define NATIVE_ADDRESS_SIZE 128 /* sizeof(struct sockaddr_storage) */

enum native_type {
    /* With `address`: wants an accept socket for it, `value` is the backlog; the reply carries the
     * accept socket and the address that was bound. With NATIVE_SHARED in the reply's flags it is
     * the listening socket itself (policy none): accept4() from it instead. With an address length
     * of 0: clients may come for `listener`, which BIND answered with; asked again it only sets the
     * backlog. */
    NATIVE_LISTEN = 1,
    NATIVE_CLOSE = 2, /* gives `listener` up; clients that were not received go to others */
    NATIVE_READY = 3, /* "I can serve": with --wait-ready no client comes before it */
    NATIVE_LOAD = 4,  /* reports `value`, 0 and up, as its load for policies that weigh it */

    /* Brings the program's own unbound TCP socket, which the master binds to `address`, so that
     * every option that was set on it holds; when another worker has bound this address already,
     * that socket is shared and this one dropped. `flags` may have NATIVE_REUSE_PORT. The reply
     * carries two descriptors: the accept socket, and the master's own end of it. Whoever keeps
     * that one open too sees no hang-up when the master dies. No client comes before LISTEN. With
     * NATIVE_SHARED in the reply's flags it carries the shared TCP socket alone (policy none); with
     * NATIVE_PRIVATE nothing: the port is not shared, bind it yourself. */
    NATIVE_BIND = 5,

    /* getsockopt(2), setsockopt(2) on the shared TCP socket of `listener`: `flags` is the level,
     * `value` the option's name, and the option's value is in `address`, in the request or the
     * reply, `address_length` bytes long (GET: as many as there is room for). */
    NATIVE_GET_OPTION = 6,
    NATIVE_SET_OPTION = 7,

    NATIVE_CHECK = 8,    /* a descriptor of `listener` was closed: when no process of the worker has
                            another one, this is a CLOSE */
    NATIVE_RETRIEVE = 9, /* wants the TCP socket of `listener` back, which must not be listening:
                            the reply carries it, and the worker has given the listener up */
};

/* Flags of a reply, see NATIVE_LISTEN and NATIVE_BIND. */
#define NATIVE_SHARED  1u
#define NATIVE_PRIVATE 2u

/* A flag of BIND: SO_REUSEPORT is set, so that one worker may have the address several times. */
#define NATIVE_REUSE_PORT 1u

struct native_request {
    uint32_t magic;
    uint16_t version;
    uint16_t type; /* enum native_type */
    uint8_t token[NATIVE_TOKEN_SIZE];
    uint32_t listener; /* as the reply to LISTEN or BIND named it */
    int32_t value;
    uint32_t flags;          /* 0 where its type names none */
    uint32_t address_length; /* of `address` in use */
    uint8_t address[NATIVE_ADDRESS_SIZE];
};

struct native_reply {
    uint32_t magic;
    uint16_t version;
    uint16_t type; /* of the request */
    int32_t error; /* 0 or a negative errno, as bind(2) and listen(2) give them */
    uint32_t listener;
    uint32_t flags;
    uint32_t address_length;
    uint8_t address[NATIVE_ADDRESS_SIZE];
};

/* One client, on an accept socket. Receive into at least NATIVE_CLIENT_MAX bytes: a record may be
 * longer than what this version knows. */
struct native_client {
    uint32_t magic;
    uint32_t listener;
    uint64_t sequence; /* counts this accept socket's clients from 1 */
    uint32_t address_length;
    uint8_t address[28]; /* the client's, room for struct sockaddr_in6; a Unix client has none */
};

#define NATIVE_CLIENT_MAX 512

/* What an accept socket is bound to: an abstract name (unix(7)) of exactly this size, so that
 * getsockname() tells every process that holds the socket, after dup, fork and exec too, what it
 * is. These are the bytes of sun_path; copy them out, for they are not aligned there. */
struct native_name {
    uint8_t zero[2]; /* the first makes it an abstract name */
    uint16_t version;
    uint32_t magic;
    uint32_t listener;
    uint8_t instance[8];     /* random: no two accept sockets of a machine have the same name */
    uint32_t address_length; /* of `address` in use; 0 for a Unix listener */
    uint8_t address[28]; /* what the listener is bound to, as the reply to LISTEN or BIND says */
};

_Static_assert(sizeof(struct native_request) == 168, "the request has no padding");
_Static_assert(sizeof(struct native_reply) == 152, "the reply has no padding");
_Static_assert(sizeof(struct native_client) == 48, "the client record has no padding");
_Static_assert(sizeof(struct native_name) == 52, "the name has no padding");

#endif
