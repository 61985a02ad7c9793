#include "base/json_read.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What the parser can ask for: at its begin; while it reads the rest of its buffer, of which each
 * byte may begin an array; and then for a string as long as the text, whose buffer doubles. */
#define RESERVE_BASE  ((size_t)4096)
#define RESERVE_BYTE  ((size_t)256)
#define RESERVE_SHARE 6
#define PARSER_BUFFER ((size_t)1024)

struct reserve {
    char *bytes; /* NULL: nothing is being read */
    size_t size;
    size_t used;
    bool touched;
};

/* Of the thread, as jansson's allocator knows no caller. */
static _Thread_local struct reserve reserve;

static void *allocate(size_t size) {
    void *memory = malloc(size);
    size_t room = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

    if (memory || !reserve.bytes)
        return memory;
    reserve.touched = true;
    if (room < size || room > reserve.size - reserve.used)
        return NULL;
    reserve.used += room;
    return reserve.bytes + reserve.used - room;
}

static void release(void *memory) {
    uintptr_t at = (uintptr_t)memory;

    if (reserve.bytes && at >= (uintptr_t)reserve.bytes &&
        at < (uintptr_t)reserve.bytes + reserve.size)
        return;
    free(memory);
}

static void set_allocator(void) {
    json_set_alloc_funcs(allocate, release);
}

struct source {
    const char *text;
    size_t left;
    FILE *file; /* or NULL */
};

static size_t feed(void *buffer, size_t size, void *data) {
    struct source *source = data;
    size_t length = source->left < size ? source->left : size;

    if (reserve.touched)
        return 0;
    if (source->file)
        return fread(buffer, 1, size, source->file);
    if (length > 0) {
        memcpy(buffer, source->text, length);
        source->text += length;
        source->left -= length;
    }
    return length;
}

static json_t *run_out(json_error_t *error) {
    if (!error)
        return NULL;
    *error = (json_error_t){.line = -1, .column = -1};
    snprintf(error->text, sizeof error->text, "memory is out");
    error->text[sizeof error->text - 1] = (char)json_error_out_of_memory; /* json_error_code() */
    return NULL;
}

static json_t *read_source(struct source *source, size_t length, size_t flags,
                           json_error_t *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t buffered = length < PARSER_BUFFER && !source->file ? length : PARSER_BUFFER;
    json_t *value;

    pthread_once(&once, set_allocator);
    reserve =
        (struct reserve){.size = RESERVE_BASE + RESERVE_BYTE * buffered + RESERVE_SHARE * length};
    reserve.bytes = malloc(reserve.size);
    if (!reserve.bytes)
        return run_out(error);
    value = json_load_callback(feed, source, flags, error);
    if (reserve.touched) {
        json_decref(value);
        value = run_out(error);
    }
    free(reserve.bytes);
    reserve = (struct reserve){.bytes = NULL};
    return value;
}

json_t *json_read(const char *text, size_t length, size_t flags, json_error_t *error) {
    struct source source = {.text = text, .left = length};

    return read_source(&source, length, flags, error);
}

json_t *json_read_file(FILE *file, size_t flags, json_error_t *error) {
    struct source source = {.file = file};
    struct stat status;

    if (fstat(fileno(file), &status) < 0)
        status.st_size = 0;
    return read_source(&source, (size_t)status.st_size, flags, error);
}
