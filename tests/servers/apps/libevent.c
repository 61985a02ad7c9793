/* libevent's HTTP server. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <unistd.h>

static void answer(struct evhttp_request *request, void *unused) {
    struct evbuffer *body = evbuffer_new();

    (void)unused;
    evbuffer_add_printf(body, "{\"pid\":%d}", (int)getpid());
    evhttp_send_reply(request, 200, "OK", body);
    evbuffer_free(body);
}

int main(void) {
    struct event_base *base = event_base_new();
    struct evhttp *server = evhttp_new(base);

    evhttp_set_gencb(server, answer, NULL);
    if (evhttp_bind_socket(server, "127.0.0.1", (ev_uint16_t)atoi(getenv("PORT"))) < 0)
        return 1;
    return event_base_dispatch(base);
}
