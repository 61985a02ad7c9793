/* What monit knows and shows: the processes by app, which of them is chosen, their last lines, and
 * the screen that comes of it. Pure: fed with answers, events and keys, it fills a grid of cells
 * and says what is to be asked of the daemon. No terminal, connection or clock.
 *
 *   apps and processes, with bars        lines of output of
 *   of connections, cpu, memory          what is chosen
 *   ───────────────────────────────────────────────────────
 *   what else is known of it
 *   keys, or what became of the last one
 *
 * Below 60 columns the output stands under the list.
 *
 * init/clear: an embedded value that owns everything it was fed with. */
#ifndef BATON_CLI_MONIT_VIEW_H
#define BATON_CLI_MONIT_VIEW_H

#include "cli/monit_grid.h"
#include "cli/monit_log.h"

#include <jansson.h>

#define MONIT_MESSAGE_MAX 256
#define MONIT_ACTION_MAX  16
#define MONIT_FILTER_MAX  64

/* Keys that are no characters. */
enum monit_key {
    MONIT_KEY_UP = 0x100000,
    MONIT_KEY_DOWN,
    MONIT_KEY_PAGE_UP,
    MONIT_KEY_PAGE_DOWN,
    MONIT_KEY_FIRST,
    MONIT_KEY_LAST,
    MONIT_KEY_RUBOUT,
    MONIT_KEY_ESCAPE,
};

/* What is to be done about a key. */
enum monit_outcome {
    MONIT_SHOW, /* draw again */
    MONIT_ACT,  /* send the action */
    MONIT_QUIT,
};

/* POST /v1/actions/NAME. */
struct monit_action {
    char name[MONIT_ACTION_MAX];
    char subject[64]; /* of whom, for messages: "api", "api (0)"; as it came, not escaped */
    char *body;       /* JSON, to be freed by the receiver */
};

/* A line of the list: an app, or one of its processes. */
struct monit_row {
    const char *app; /* borrowed from the answer */
    size_t first;    /* of its processes, in the order of the list */
    size_t count;    /* of an app: of all its processes; of a process: 1 */
    bool is_app;
};

struct monit_view {
    json_t *processes;     /* the last answer, in its order of apps; NULL until there is one */
    const json_t **listed; /* the processes of it by app and pm_id; borrowed */
    size_t listed_count;
    struct monit_row *rows; /* without those that are folded away */
    size_t row_count;
    size_t chosen;  /* a row, when there is one */
    size_t top;     /* the first row that is on the screen */
    size_t page;    /* how many rows were on it */
    json_t *folded; /* an object: the names of the apps that are */
    struct monit_log log;
    char filter[MONIT_FILTER_MAX]; /* only apps whose names contain it are listed */
    bool filtering;                /* it is being typed */
    size_t back;   /* lines of output that are below what is shown: 0 for the newest */
    uint64_t lost; /* lines of output that the daemon left out */
    bool help;
    bool asks_to_stop; /* `s` was pressed: y or n comes next */
    char message[MONIT_MESSAGE_MAX];
    bool message_is_bad;
    int64_t updated_ms;      /* when the last answer came; 0 before */
    unsigned silent_seconds; /* set by the owner: how long no answer has come, if too long; */
    bool gone;               /* the daemon has ended, and another is waited for */
};

/* 0 or -ENOMEM with nothing to clear. */
int monit_view_init(struct monit_view *view);
void monit_view_clear(struct monit_view *view);

/* The answer of GET /v1/processes, of which it keeps a reference of its own, and which gets a
 * member "rate" in each "baton": clients handed over per second since the answer before. What was
 * chosen stays chosen, by app and pm_id. `now_ms` is of a clock that never goes back. 0, -EINVAL
 * (no array) or -ENOMEM, with the view as before. */
int monit_view_update(struct monit_view *view, json_t *processes, int64_t now_ms);

/* Forgets the output: what comes next begins with the last lines anew. */
void monit_view_forget_output(struct monit_view *view);

/* An event of GET /v1/events; others than log, process and lost are passed over. 0 or -ENOMEM. */
int monit_view_event(struct monit_view *view, const char *event, const json_t *data);

/* A key: a character or enum monit_key. `action` is filled in for MONIT_ACT. */
enum monit_outcome monit_view_key(struct monit_view *view, int key, struct monit_action *action);

/* A sentence for the last line, until the next key. It is escaped. */
void monit_view_say(struct monit_view *view, bool bad, const char *text);

/* Fills the grid (monit_draw.c). `now_ms` is since 1970. */
void monit_view_draw(struct monit_view *view, struct monit_grid *grid,
                     const struct draw_style *style, int64_t now_ms);

#endif
