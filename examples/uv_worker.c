/* A worker on libuv: poll_worker.c again, in an event loop that does the reading and writing.
 *
 * Build: cc -o uv_worker uv_worker.c $(pkg-config --cflags --libs libbaton libuv)
 * Run:   baton run ./uv_worker -i 4, or alone: ./uv_worker
 *
 * It answers any HTTP request with its slot and process id, and closes. The port is $PORT or 8080.
 */
#include <baton/worker.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define REQUEST_MAX 8192

struct worker {
    uv_loop_t loop;
    uv_poll_t readable;     /* the listener; closed once no more clients are wanted or will come */
    uv_signal_t signals[2]; /* SIGINT and SIGTERM */
    int listener;
};

struct client {
    uv_tcp_t stream;
    uv_write_t write;
    struct worker *worker;
    size_t length; /* of the request that has come so far */
    char request[REQUEST_MAX + 1];
    char response[256];
};

static void on_readable(uv_poll_t *readable, int status, int events);

static void watch_listener(struct worker *worker) {
    if (!uv_is_closing((uv_handle_t *)&worker->readable))
        uv_poll_start(&worker->readable, UV_READABLE, on_readable);
}

/* The loop ends when the last client's handle is closed too. */
static void stop_listening(struct worker *worker) {
    if (uv_is_closing((uv_handle_t *)&worker->readable))
        return;
    uv_close((uv_handle_t *)&worker->readable, NULL);
    uv_close((uv_handle_t *)&worker->signals[0], NULL);
    uv_close((uv_handle_t *)&worker->signals[1], NULL);
    baton_close(worker->listener);
}

static void on_signal(uv_signal_t *signal, int number) {
    (void)number;
    stop_listening(signal->data);
}

/* A descriptor has become free, for which accepting may have been waiting. */
static void on_client_closed(uv_handle_t *handle) {
    struct client *client = handle->data;

    watch_listener(client->worker);
    free(client);
}

static void on_written(uv_write_t *write, int status) {
    (void)status;
    uv_close((uv_handle_t *)write->handle, on_client_closed);
}

static void answer(struct client *client) {
    char body[64];
    int length = snprintf(body, sizeof(body), "Hello from slot %d, process %d\n", baton_slot(),
                          (int)getpid());
    uv_buf_t buffer;

    length = snprintf(client->response, sizeof(client->response),
                      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
                      "Connection: close\r\n\r\n%s",
                      length, body);
    buffer = uv_buf_init(client->response, (unsigned)length);
    uv_read_stop((uv_stream_t *)&client->stream);
    if (uv_write(&client->write, (uv_stream_t *)&client->stream, &buffer, 1, on_written) < 0)
        uv_close((uv_handle_t *)&client->stream, on_client_closed);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    struct client *client = handle->data;

    (void)suggested;
    *buffer =
        uv_buf_init(client->request + client->length, (unsigned)(REQUEST_MAX - client->length));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
    struct client *client = stream->data;

    (void)buffer;
    if (length < 0) { /* the client is gone, or has said too much: UV_ENOBUFS */
        uv_close((uv_handle_t *)stream, on_client_closed);
        return;
    }
    client->length += (size_t)length;
    client->request[client->length] = '\0';
    if (strstr(client->request, "\r\n\r\n"))
        answer(client);
}

static void add_client(struct worker *worker, int descriptor) {
    struct client *client = calloc(1, sizeof(*client));

    if (!client) {
        close(descriptor);
        return;
    }
    client->worker = worker;
    uv_tcp_init(&worker->loop, &client->stream);
    client->stream.data = client;
    if (uv_tcp_open(&client->stream, descriptor) < 0) {
        close(descriptor);
        uv_close((uv_handle_t *)&client->stream, on_client_closed);
        return;
    }
    uv_read_start((uv_stream_t *)&client->stream, on_allocate, on_read);
}

/* The listener is readable as long as somebody waits, so take all. When the process can open no
 * more, they wait (or go to another worker) until one of ours is done. */
static void on_readable(uv_poll_t *readable, int status, int events) {
    struct worker *worker = readable->data;
    int client;

    (void)status; /* baton_accept() says it better */
    (void)events;
    while ((client = baton_accept(worker->listener, NULL, NULL)) >= 0)
        add_client(worker, client);
    if (client == -EMFILE)
        uv_poll_stop(readable);
    else if (client == -ESHUTDOWN) /* the master wants us to finish */
        stop_listening(worker);
    else if (client != -EAGAIN && client != -EINTR)
        fprintf(stderr, "accept: %s\n", strerror(-client));
}

static void start(struct worker *worker) {
    static const int numbers[2] = {SIGINT, SIGTERM};

    uv_loop_init(&worker->loop);
    uv_poll_init(&worker->loop, &worker->readable, worker->listener); /* sets O_NONBLOCK */
    worker->readable.data = worker;
    watch_listener(worker);
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&worker->loop, &worker->signals[i]);
        worker->signals[i].data = worker;
        uv_signal_start(&worker->signals[i], on_signal, numbers[i]);
    }
}

int main(void) {
    static struct worker worker;
    const char *port = getenv("PORT");

    worker.listener = baton_listen_tcp(NULL, (uint16_t)(port ? atoi(port) : 8080), 0);
    if (worker.listener < 0) {
        fprintf(stderr, "listen: %s\n", strerror(-worker.listener));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    start(&worker);
    baton_ready();
    uv_run(&worker.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&worker.loop) < 0;
}
