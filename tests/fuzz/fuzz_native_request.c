/* A request of the worker socket: whatever address it bears, a key made of it can be compared and
 * described. */
#include "ipc/native_protocol.h"
#include "master/address.h"
#include "master/native_worker.h"

#include "check.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct native_request request = {.magic = NATIVE_MAGIC};
    char text[ADDRESS_TEXT_MAX];
    struct listener_key key;

    memcpy(&request, data, size < sizeof request ? size : sizeof request);
    request.address_length %= NATIVE_ADDRESS_SIZE + 1; /* what the worker socket lets through */
    if (native_worker_key(&request, &key) < 0)
        return 0;
    check(key.length <= sizeof key.address);
    check(listener_key_equal(&key, &key));
    address_describe(&key.address.any, key.length, text);
    check(memchr(text, '\0', sizeof text));
    for (const char *at = text; *at; at++)
        check(*at >= 0x20 && *at < 0x7f);
    return 0;
}
