#include "master/restart.h"

#include <string.h>
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

/* The pieces that have begun since the last end are empty. */
static void slide(struct restart_history *history, uint64_t now_ms) {
    uint64_t piece = now_ms / (RESTART_WINDOW_MS / RESTART_WINDOW_PIECES);

    if (piece - history->piece >= RESTART_WINDOW_PIECES)
        memset(history->unstable, 0, sizeof history->unstable);
    else
        for (uint64_t i = history->piece + 1; i <= piece; i++)
            history->unstable[i % RESTART_WINDOW_PIECES] = 0;
    history->piece = piece;
}

uint32_t restart_count(const struct restart_history *history) {
    uint32_t count = 0;

    for (unsigned i = 0; i < RESTART_WINDOW_PIECES; i++)
        count += history->unstable[i];
    return count;
}

void restart_forget(struct restart_history *history) {
    history->young_deaths = 0;
    memset(history->unstable, 0, sizeof history->unstable);
}

static bool is_loop(const struct restart_history *history, const struct settings *settings) {
    uint32_t most = settings->max_restarts;

    if (history->young_deaths > 0 && history->young_deaths >= most)
        return true;
    if (most < RESTART_LOOP_MIN)
        most = RESTART_LOOP_MIN;
    return settings->min_uptime_ms > 0 && restart_count(history) > most;
}

struct restart_decision restart_decide(struct restart_history *history,
                                       const struct settings *settings,
                                       const struct restart_death *death) {
    bool young = death->lifetime_ms < settings->min_uptime_ms;
    struct restart_decision decision = {.verdict = RESTART_DONE};
    uint64_t delay;

    if (is_final(settings, death->status))
        return decision;
    slide(history, death->now_ms);
    if (!young && death->lifetime_ms >= RESTART_STABLE_MS)
        restart_forget(history);
    else
        history->unstable[history->piece % RESTART_WINDOW_PIECES]++;
    history->young_deaths += young;
    if (is_loop(history, settings)) {
        decision.verdict = RESTART_GIVE_UP;
        return decision;
    }
    history->restarts++;
    delay = young ? young_delay(history->young_deaths, settings->backoff_ms) : 0;
    decision.verdict = RESTART_AFTER;
    decision.delay_ms = delay > settings->restart_delay_ms ? delay : settings->restart_delay_ms;
    return decision;
}
