#include "cli/monit_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct monit_ring {
    struct monit_line lines[MONIT_LOG_LINES];
    size_t next; /* to be written */
    size_t count;
};

void monit_log_init(struct monit_log *log) {
    *log = (struct monit_log){.order = 0};
    table_init(&log->rings);
}

static void ring_destroy(struct monit_ring *ring) {
    if (!ring)
        return;
    for (size_t i = 0; i < MONIT_LOG_LINES; i++)
        free(ring->lines[i].text);
    free(ring);
}

void monit_log_clear(struct monit_log *log) {
    const struct table_entry *entry;
    size_t position = 0;

    while ((entry = table_next(&log->rings, &position)))
        ring_destroy(entry->value);
    table_clear(&log->rings);
}

static struct monit_ring *find_ring(const struct monit_log *log, int64_t pm_id) {
    return table_find(&log->rings, (uint64_t)pm_id);
}

static struct monit_ring *need_ring(struct monit_log *log, int64_t pm_id) {
    struct monit_ring *ring = find_ring(log, pm_id);

    if (ring)
        return ring;
    ring = calloc(1, sizeof(*ring));
    if (ring && table_insert(&log->rings, (uint64_t)pm_id, ring) < 0) {
        free(ring);
        return NULL;
    }
    return ring;
}

int monit_log_add(struct monit_log *log, int64_t pm_id, const char *text, bool error) {
    struct monit_ring *ring = need_ring(log, pm_id);
    char *copy = ring ? strndup(text, MONIT_LOG_LINE_MAX) : NULL;
    struct monit_line *line;

    if (!copy)
        return -ENOMEM;
    line = &ring->lines[ring->next];
    free(line->text);
    *line =
        (struct monit_line){.text = copy, .order = log->order++, .pm_id = pm_id, .error = error};
    ring->next = (ring->next + 1) % MONIT_LOG_LINES;
    if (ring->count < MONIT_LOG_LINES)
        ring->count++;
    return 0;
}

void monit_log_remove(struct monit_log *log, int64_t pm_id) {
    ring_destroy(table_remove(&log->rings, (uint64_t)pm_id));
}

/* The youngest line of a ring that is older than `order`, or NULL. */
static const struct monit_line *line_before(const struct monit_ring *ring, uint64_t order) {
    size_t low = 0;
    size_t high = ring->count; /* of the lines, counted from the oldest, `low` are older */

    while (low < high) {
        size_t middle = (low + high) / 2;
        size_t place = (ring->next + MONIT_LOG_LINES - ring->count + middle) % MONIT_LOG_LINES;

        if (ring->lines[place].order < order)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    return &ring->lines[(ring->next + MONIT_LOG_LINES - ring->count + low - 1) % MONIT_LOG_LINES];
}

static const struct monit_line *youngest_before(const struct monit_log *log, const int64_t *pm_ids,
                                                size_t pm_id_count, uint64_t order) {
    const struct monit_line *youngest = NULL;

    for (size_t i = 0; i < pm_id_count; i++) {
        const struct monit_ring *ring = find_ring(log, pm_ids[i]);
        const struct monit_line *line = ring ? line_before(ring, order) : NULL;

        if (line && (!youngest || line->order > youngest->order))
            youngest = line;
    }
    return youngest;
}

size_t monit_log_last(const struct monit_log *log, const int64_t *pm_ids, size_t pm_id_count,
                      const struct monit_line **ret_lines, size_t count) {
    uint64_t order = log->order;
    size_t found = 0;

    for (; found < count; found++) {
        const struct monit_line *line = youngest_before(log, pm_ids, pm_id_count, order);

        if (!line)
            break;
        ret_lines[count - 1 - found] = line;
        order = line->order;
    }
    memmove(ret_lines, ret_lines + (count - found), found * sizeof(*ret_lines));
    return found;
}
