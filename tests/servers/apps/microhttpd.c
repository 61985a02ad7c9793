/* GNU libmicrohttpd with a thread of its own that waits in epoll. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum MHD_Result answer(void *unused, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state) {
    struct MHD_Response *response;
    enum MHD_Result result;
    char body[32];

    (void)unused, (void)url, (void)method, (void)version;
    (void)upload, (void)upload_size;
    if (!*state) {
        *state = connection; /* the head is there, but answered only after the whole request */
        return MHD_YES;
    }
    snprintf(body, sizeof body, "{\"pid\":%d}", (int)getpid());
    response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_COPY);
    result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

int main(void) {
    unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD;

    if (!MHD_start_daemon(flags, (uint16_t)atoi(getenv("PORT")), NULL, NULL, answer, NULL,
                          MHD_OPTION_END))
        return 1;
    for (;;)
        pause();
}
