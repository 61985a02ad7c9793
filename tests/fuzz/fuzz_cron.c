/* Any text as a cron expression, after any time: refused with a sentence, or the next times come in
 * order and fit. The first nine bytes choose the time and the zone. */
#include "config/cron.h"

#include "check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMES 3

static void choose_zone(uint8_t byte) {
    static const char *const zones[] = {"UTC0", "CET-1CEST,M3.5.0,M10.5.0/3",
                                        "CST5CDT,M3.2.0/0,M11.1.0/1",
                                        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"};
    static uint8_t chosen = 0xff;

    byte &= 3;
    if (byte == chosen)
        return;
    chosen = byte;
    setenv("TZ", zones[byte], 1);
    tzset();
}

static void check_fits(const struct cron *cron, int64_t at) {
    time_t moment = (time_t)at;
    struct tm local;

    check(localtime_r(&moment, &local) != NULL);
    check(cron->seconds >> local.tm_sec & 1);
    check(cron->minutes >> local.tm_min & 1);
    check(cron->months >> (local.tm_mon + 1) & 1);
    check(cron->days >> local.tm_mday & 1 || cron->weekdays >> local.tm_wday & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    char error[CRON_ERROR_MAX] = "";
    char text[512];
    struct cron cron;
    int64_t at;

    if (length < 9 || length - 9 >= sizeof text)
        return 0;
    choose_zone(bytes[0]);
    memcpy(&at, bytes + 1, sizeof at);
    if (bytes[0] & 4)
        at &= 0xffffffff; /* the times that matter */
    memcpy(text, bytes + 9, length - 9);
    text[length - 9] = '\0';
    if (cron_parse(&cron, text, error) < 0) {
        check(error[0]);
        return 0;
    }
    for (int i = 0; i < TIMES; i++) {
        int64_t next = cron_next(&cron, at);

        if (next == -1)
            return 0;
        check(next > at);
        check_fits(&cron, next);
        at = next;
    }
    return 0;
}
