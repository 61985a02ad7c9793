#include "master/restart.h"

#include <sys/wait.h>

static bool is_final(const struct settings *settings, int status) {
    if (!settings->autorestart)
        return true;
    for (size_t i = 0; i < settings->stop_code_count; i++)
        if (WIFEXITED(status) && WEXITSTATUS(status) == settings->stop_codes[i])
            return true;
    return false;
}

/* 0 for the first young death in a row, backoff for the second, then half more each. */
static uint64_t young_delay(uint32_t young_deaths, uint64_t backoff_ms) {
    uint64_t delay = backoff_ms;

    if (young_deaths <= 1)
        return 0;
    for (uint32_t i = 2; i < young_deaths && delay < RESTART_DELAY_MAX; i++)
        delay += delay / 2;
    return delay < RESTART_DELAY_MAX ? delay : RESTART_DELAY_MAX;
}

struct restart_decision restart_decide(struct restart_history *history,
                                       const struct settings *settings, uint64_t lifetime_ms,
                                       int status) {
    struct restart_decision decision = {.verdict = RESTART_DONE};
    uint64_t delay;

    if (is_final(settings, status))
        return decision;
    history->young_deaths = lifetime_ms < settings->min_uptime_ms ? history->young_deaths + 1 : 0;
    if (history->young_deaths > settings->max_restarts) {
        decision.verdict = RESTART_GIVE_UP;
        return decision;
    }
    history->restarts++;
    delay = young_delay(history->young_deaths, settings->backoff_ms);
    decision.verdict = RESTART_AFTER;
    decision.delay_ms = delay > settings->restart_delay_ms ? delay : settings->restart_delay_ms;
    return decision;
}
