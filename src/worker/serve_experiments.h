/* Answers that are made up on the spot, to see how clients are spread and what slow ones do:
 *
 *   /hello     "Hello, world"
 *   /echo      the request itself as plain text, any method, a body of up to 1 MiB
 *   /sleep/MS  answers after MS milliseconds without keeping the worker busy; up to 60000
 *   /burn/MS   keeps the worker's CPU busy for MS milliseconds, and everyone else waiting; to 10000
 *   /whoami    {"slot":S,"pid":P,"count":N}: N responses of this worker, this one included */
#ifndef BATON_WORKER_SERVE_EXPERIMENTS_H
#define BATON_WORKER_SERVE_EXPERIMENTS_H

#include <stdbool.h>
#include <stdint.h>

struct http_connection;
struct http_request;

/* Answers, now or later, if the path is one of these; false if it is not. */
bool serve_experiments_respond(struct http_connection *connection,
                               const struct http_request *request);

/* For http_handler. */
uint64_t serve_experiments_body_limit(const struct http_request *request);

#endif
