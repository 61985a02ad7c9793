/* What is known and what keys do; how it looks is in monit_draw.c. */
#include "cli/monit_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Who is chosen, to be found again in the next answer. */
struct identity {
    char *app; /* NULL: nobody */
    int64_t pm_id;
    bool is_app;
    size_t place; /* the row, for when it is gone */
};

static const char *app_of(const json_t *process) {
    const char *name = draw_member_text(process, "name", "");

    return draw_member_text(json_object_get(process, "baton"), "app", name);
}

static int64_t id_of(const json_t *process) {
    return draw_member_number(process, "pm_id", -1);
}

int monit_view_init(struct monit_view *view) {
    *view = (struct monit_view){.folded = json_object()};
    monit_log_init(&view->log);
    return view->folded ? 0 : -ENOMEM;
}

void monit_view_clear(struct monit_view *view) {
    json_decref(view->processes);
    json_decref(view->folded);
    free(view->listed);
    free(view->rows);
    monit_log_clear(&view->log);
    *view = (struct monit_view){.processes = NULL};
}

/* --- the list --- */

static int compare_listed(const void *one_place, const void *other_place) {
    const json_t *one = *(const json_t *const *)one_place;
    const json_t *other = *(const json_t *const *)other_place;
    int order = strcmp(app_of(one), app_of(other));

    return order ? order : (id_of(one) > id_of(other)) - (id_of(one) < id_of(other));
}

static bool is_folded(const struct monit_view *view, const char *app) {
    return json_object_get(view->folded, app) != NULL;
}

/* Fills in the rows; there is room for two for each process. An app of one process has one row. */
static void list_rows(struct monit_view *view) {
    size_t first = 0;
    size_t end;

    view->row_count = 0;
    for (; first < view->listed_count; first = end) {
        const char *app = app_of(view->listed[first]);

        for (end = first; end < view->listed_count && strcmp(app_of(view->listed[end]), app) == 0;)
            end++;
        if (!strstr(app, view->filter))
            continue;
        view->rows[view->row_count++] =
            (struct monit_row){.app = app, .first = first, .count = end - first, .is_app = true};
        for (size_t i = first; end - first > 1 && !is_folded(view, app) && i < end; i++)
            view->rows[view->row_count++] = (struct monit_row){.app = app, .first = i, .count = 1};
    }
}

static struct identity remember(const struct monit_view *view) {
    struct identity identity = {.place = view->chosen};
    const struct monit_row *row;

    if (view->chosen >= view->row_count)
        return identity;
    row = &view->rows[view->chosen];
    identity.app = strdup(row->app);
    identity.pm_id = id_of(view->listed[row->first]);
    identity.is_app = row->is_app;
    return identity;
}

/* The same app or process, else its app, else whatever stands in its place now. */
static void choose_again(struct monit_view *view, struct identity *identity) {
    size_t app_row = view->row_count;
    size_t found = view->row_count;

    for (size_t i = 0; identity->app && i < view->row_count; i++) {
        const struct monit_row *row = &view->rows[i];

        if (strcmp(row->app, identity->app) != 0)
            continue;
        if (row->is_app)
            app_row = i;
        if (row->is_app == identity->is_app &&
            (row->is_app || id_of(view->listed[row->first]) == identity->pm_id))
            found = i;
    }
    if (found == view->row_count)
        found = app_row < view->row_count ? app_row : identity->place;
    view->chosen = found < view->row_count ? found : view->row_count > 0 ? view->row_count - 1 : 0;
    free(identity->app);
}

static json_t *find_process(const json_t *processes, int64_t pm_id) {
    json_t *process;
    size_t i;

    json_array_foreach(processes, i, process) {
        if (id_of(process) == pm_id)
            return process;
    }
    return NULL;
}

/* Forgets the output of processes that are no more. */
static void prune_log(struct monit_view *view, const json_t *processes) {
    for (size_t i = 0; i < view->listed_count; i++)
        if (!find_process(processes, id_of(view->listed[i])))
            monit_log_remove(&view->log, id_of(view->listed[i]));
}

/* How many clients a second it was handed since the last answer. A worker that is another one by
 * now counts from 0 again. */
static double rate_of(const struct monit_view *view, const json_t *process, int64_t now_ms) {
    const json_t *before = find_process(view->processes, id_of(process));
    int64_t handed = draw_member_number(json_object_get(process, "baton"), "handed", 0);
    int64_t handed_before = draw_member_number(json_object_get(before, "baton"), "handed", 0);
    int64_t more = handed >= handed_before ? handed - handed_before : handed;

    return before && now_ms > view->updated_ms
               ? (double)more * 1000 / (double)(now_ms - view->updated_ms)
               : 0;
}

static void add_rates(const struct monit_view *view, json_t *processes, int64_t now_ms) {
    json_t *process;
    size_t i;

    json_array_foreach(processes, i, process) {
        json_t *baton = json_object_get(process, "baton");

        if (json_is_integer(json_object_get(baton, "handed")))
            json_object_set_new(baton, "rate", json_real(rate_of(view, process, now_ms)));
    }
}

int monit_view_update(struct monit_view *view, json_t *processes, int64_t now_ms) {
    size_t count = json_array_size(processes);
    const json_t **listed;
    struct monit_row *rows;
    struct identity identity;

    if (!json_is_array(processes))
        return -EINVAL;
    listed = calloc(count + 1, sizeof(const json_t *));
    rows = calloc(2 * count + 1, sizeof(*rows));
    if (!listed || !rows) {
        free(listed);
        free(rows);
        return -ENOMEM;
    }
    identity = remember(view);
    prune_log(view, processes);
    add_rates(view, processes, now_ms);
    view->updated_ms = now_ms;
    for (size_t i = 0; i < count; i++)
        listed[i] = json_array_get(processes, i);
    qsort(listed, count, sizeof(const json_t *), compare_listed);
    free(view->listed);
    free(view->rows);
    view->listed = listed;
    view->listed_count = count;
    view->rows = rows;
    json_incref(processes);
    json_decref(view->processes);
    view->processes = processes;
    list_rows(view);
    choose_again(view, &identity);
    return 0;
}

/* --- events --- */

static int take_log(struct monit_view *view, const json_t *data) {
    const char *line = draw_member_text(data, "line", NULL);
    bool error = strcmp(draw_member_text(data, "stream", "out"), "err") == 0;

    return line ? monit_log_add(&view->log, id_of(data), line, error) : 0;
}

/* What has changed stands in the list at once, not only with the next answer. */
static int take_process(struct monit_view *view, const json_t *data) {
    const char *status = draw_member_text(data, "status", NULL);
    json_t *process;
    size_t i;

    json_array_foreach(view->processes, i, process) {
        json_t *env = json_object_get(process, "pm2_env");

        if (id_of(process) != id_of(data) || !env || !status)
            continue;
        return json_object_set_new(env, "status", json_string(status)) < 0 ? -ENOMEM : 0;
    }
    return 0;
}

int monit_view_event(struct monit_view *view, const char *event, const json_t *data) {
    if (strcmp(event, "log") == 0)
        return take_log(view, data);
    if (strcmp(event, "process") == 0)
        return take_process(view, data);
    if (strcmp(event, "lost") == 0)
        view->lost += (uint64_t)draw_member_number(data, "lines", 0);
    return 0;
}

void monit_view_forget_output(struct monit_view *view) {
    monit_log_clear(&view->log);
    monit_log_init(&view->log);
}

void monit_view_say(struct monit_view *view, bool bad, const char *text) {
    snprintf(view->message, sizeof(view->message), "%s", text);
    view->message_is_bad = bad;
}

/* --- keys --- */

static const struct monit_row *chosen_row(const struct monit_view *view) {
    return view->chosen < view->row_count ? &view->rows[view->chosen] : NULL;
}

static void move(struct monit_view *view, int64_t rows) {
    int64_t wanted = (int64_t)view->chosen + rows;
    int64_t last = (int64_t)view->row_count - 1;

    if (wanted > last)
        wanted = last;
    view->chosen = wanted < 0 ? 0 : (size_t)wanted;
    view->back = 0;
}

/* Half a screen of output up or down; where it ends is found when it is drawn. */
static void move_output(struct monit_view *view, bool older) {
    size_t half = view->page > 2 ? view->page / 2 : 1;

    if (older)
        view->back += half;
    else
        view->back -= view->back < half ? view->back : half;
}

static void set_filter(struct monit_view *view, size_t length) {
    struct identity identity = remember(view);

    view->filter[length] = '\0';
    view->back = 0;
    list_rows(view);
    choose_again(view, &identity);
}

/* While a filter is typed; anything else ends that. */
static void type_filter(struct monit_view *view, int key) {
    size_t length = strlen(view->filter);

    if (key == MONIT_KEY_ESCAPE) {
        view->filtering = false;
        set_filter(view, 0);
    } else if (key == MONIT_KEY_RUBOUT) {
        set_filter(view, length > 0 ? length - 1 : 0);
    } else if (key < ' ' || key > 0xff || length + 1 >= sizeof(view->filter)) {
        view->filtering = false;
    } else {
        view->filter[length] = (char)key;
        set_filter(view, length + 1);
    }
}

static void fold(struct monit_view *view) {
    const struct monit_row *row = chosen_row(view);
    struct identity identity;

    if (!row)
        return;
    identity = remember(view);
    if (is_folded(view, row->app))
        json_object_del(view->folded, row->app);
    else
        json_object_set_new(view->folded, row->app, json_true());
    list_rows(view);
    choose_again(view, &identity);
}

/* The processes of a row as targets. Numbers, for a name might mean something else, too. */
static json_t *targets_of(const struct monit_view *view, const struct monit_row *row) {
    json_t *targets = json_array();

    for (size_t i = row->first; i < row->first + row->count; i++)
        json_array_append_new(targets, json_sprintf("%lld", (long long)id_of(view->listed[i])));
    return targets;
}

static void name_subject(const struct monit_view *view, const struct monit_row *row, char *subject,
                         size_t size) {
    if (row->is_app)
        snprintf(subject, size, "%s", row->app);
    else
        snprintf(subject, size, "%.48s (%lld)", row->app,
                 (long long)id_of(view->listed[row->first]));
}

/* `more` is the number of instances to add, as text, or NULL. */
static enum monit_outcome act(struct monit_view *view, const char *name, const char *more,
                              struct monit_action *action) {
    const struct monit_row *row = chosen_row(view);
    json_t *body;

    if (!row)
        return MONIT_SHOW;
    body = more ? json_pack("{s[s]ss}", "targets", row->app, "instances", more)
                : json_pack("{so}", "targets", targets_of(view, row));
    *action = (struct monit_action){.body = body ? json_dumps(body, JSON_COMPACT) : NULL};
    json_decref(body);
    if (!action->body)
        return MONIT_SHOW;
    snprintf(action->name, sizeof(action->name), "%s", name);
    name_subject(view, row, action->subject, sizeof(action->subject));
    return MONIT_ACT;
}

/* After `s`. */
static enum monit_outcome answer(struct monit_view *view, int key, struct monit_action *action) {
    view->asks_to_stop = false;
    return key == 'y' || key == 'Y' ? act(view, "stop", NULL, action) : MONIT_SHOW;
}

static bool move_by_key(struct monit_view *view, int key) {
    int64_t page = view->page > 1 ? (int64_t)view->page - 1 : 1;

    switch (key) {
    case MONIT_KEY_UP:
    case 'k':
        move(view, -1);
        return true;
    case MONIT_KEY_DOWN:
    case 'j':
        move(view, 1);
        return true;
    case MONIT_KEY_PAGE_UP:
        move(view, -page);
        return true;
    case MONIT_KEY_PAGE_DOWN:
        move(view, page);
        return true;
    case MONIT_KEY_FIRST:
    case 'g':
        move(view, INT32_MIN);
        return true;
    case MONIT_KEY_LAST:
    case 'G':
        move(view, INT32_MAX);
        return true;
    default:
        return false;
    }
}

static enum monit_outcome other_key(struct monit_view *view, int key, struct monit_action *action) {
    switch (key) {
    case 'q':
        return MONIT_QUIT;
    case '?':
    case 'h':
        view->help = true;
        return MONIT_SHOW;
    case '\n':
    case '\r':
    case ' ':
        fold(view);
        return MONIT_SHOW;
    case '/':
        view->filtering = true;
        set_filter(view, 0);
        return MONIT_SHOW;
    case MONIT_KEY_ESCAPE:
        set_filter(view, 0);
        return MONIT_SHOW;
    case '[':
    case ']':
        move_output(view, key == '[');
        return MONIT_SHOW;
    case 's':
        view->asks_to_stop = chosen_row(view) != NULL;
        return MONIT_SHOW;
    case 'r':
        return act(view, "restart", NULL, action);
    case 'l':
    case 'R':
        return act(view, "reload", NULL, action);
    case '+':
        return act(view, "scale", "+1", action);
    case '-':
        return act(view, "scale", "-1", action);
    default:
        return MONIT_SHOW;
    }
}

enum monit_outcome monit_view_key(struct monit_view *view, int key, struct monit_action *action) {
    view->message[0] = '\0';
    if (view->help) {
        view->help = false; /* any key leaves it */
        return MONIT_SHOW;
    }
    if (view->filtering) {
        type_filter(view, key);
        return MONIT_SHOW;
    }
    if (view->asks_to_stop)
        return answer(view, key, action);
    if (move_by_key(view, key))
        return MONIT_SHOW;
    return other_key(view, key, action);
}
