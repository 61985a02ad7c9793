/* libbaton: what a worker of Baton calls to get its clients. Needs libc alone.
 *
 *     int listener = baton_listen_tcp(NULL, 8080, 0);
 *     for (;;) {
 *         int client = baton_accept(listener, NULL, NULL);   // blocks, as accept(2) does
 *         …serve it, close(client)…
 *     }
 *
 * What baton_listen_*() returns is a descriptor that polls readable when a client is there, so any
 * event loop will do: make it non-blocking, add it to poll, epoll or libuv, and call baton_accept()
 * until it says -EAGAIN. Close it with baton_close(). Under a master the descriptor is an accept
 * socket; without one (the program was started by hand) it is a plain listening socket, and
 * everything works as before, so that a worker can be tried and debugged alone.
 *
 * Every call answers a negative errno on failure and leaves errno alone. All may be called from any
 * thread, on different listeners or on the same one. No call but baton_accept() on a blocking
 * descriptor waits for anything but the master. */
#ifndef BATON_WORKER_H
#define BATON_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BATON_WORKER_VERSION 1

/* Whether a master started this process, and the number of its slot, 0 and up; -1 without a master.
 */
bool baton_has_master(void);
int baton_slot(void);

/* Asks for clients of `address`. `backlog` 0: 511. All workers that ask for the same address share
 * one listening socket of the master; port 0 chooses one port for all of them. A descriptor,
 * blocking and close-on-exec, or -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, … as bind(2), -EPROTO when
 * the master speaks another version, -ETIMEDOUT when it does not answer within 10 s. */
int baton_listen(const struct sockaddr *address, socklen_t length, int backlog);

/* The same for a numeric IPv4 or IPv6 `host` (NULL: all addresses, dual stack), and for a Unix
 * socket's path. */
int baton_listen_tcp(const char *host, uint16_t port, int backlog);
int baton_listen_unix(const char *path, int backlog);

/* The address that a listener is bound to, e.g. to learn the port that was chosen: 0 or a negative
 * errno. As getsockname(2): at most *length bytes are stored, *length becomes the whole length. */
int baton_address(int listener, struct sockaddr *address, socklen_t *length);

/* Takes the next client: its descriptor, close-on-exec and non-blocking; it is the caller's.
 * `address` and `length` may be NULL, otherwise as in accept4(2). -EAGAIN when there is none and
 * the listener is non-blocking; -ESHUTDOWN when no more will come: finish what is open and exit;
 * -EMFILE when this process has no descriptor free (no client is lost: they stay in line); -EINTR.
 */
int baton_accept(int listener, struct sockaddr *address, socklen_t *length);

/* Gives the listener up and closes it; clients that were not accepted go to other workers. 0 or a
 * negative errno. */
int baton_close(int listener);

/* Tells the master that this worker can serve. Needed only where it was started with --wait-ready.
 */
int baton_ready(void);

/* Reports this worker's load, any number from 0 whose meaning the workers of an app agree on. */
int baton_report_load(uint32_t load);

#ifdef __cplusplus
}
#endif

#endif
