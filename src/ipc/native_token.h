/* The worker's token as its environment has it: 2 × NATIVE_TOKEN_SIZE hexadecimal digits. For
 * libbaton and the preload library, which calls no function of libc. */
#ifndef BATON_IPC_NATIVE_TOKEN_H
#define BATON_IPC_NATIVE_TOKEN_H

#include "ipc/native_protocol.h"

#include <stdbool.h>

static inline int native_token_digit(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* False, with part of ret_token written, when the text is no token. */
static inline bool native_token_parse(const char *text, uint8_t ret_token[NATIVE_TOKEN_SIZE]) {
    for (unsigned at = 0; at < NATIVE_TOKEN_SIZE; at++) {
        int high = native_token_digit(text[2 * at]);
        int low = high < 0 ? -1 : native_token_digit(text[2 * at + 1]);

        if (low < 0)
            return false;
        ret_token[at] = (uint8_t)(high * 16 + low);
    }
    return text[2 * NATIVE_TOKEN_SIZE] == '\0';
}

#endif
