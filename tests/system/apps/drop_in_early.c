/* A preloaded library whose constructor binds and listens, maybe before any other library is set
 * up: on $DROP_IN_EARLY_PORT, for the program to find in $DROP_IN_LISTENER. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

__attribute__((constructor)) static void listen_early(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *port = getenv("DROP_IN_EARLY_PORT");
    int listener, on = 1;
    char number[16];

    if (!port)
        return;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_port = htons((uint16_t)atoi(port));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 64) < 0)
        perror("listen_early");
    snprintf(number, sizeof number, "%d", listener);
    setenv("DROP_IN_LISTENER", number, 1);
}
