#include "config/yaml_value.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <yaml.h>

#define ANCHORS_MAX 1024
#define NUMBER_MAX  64
#define TAG_PREFIX  "tag:yaml.org,2002:"

struct anchor {
    char *name;
    json_t *value; /* borrowed; NULL while it is being read, for it cannot hold itself */
    size_t nodes;  /* of which it is made */
};

struct composer {
    yaml_parser_t parser;
    struct anchor *anchors;
    size_t anchor_count;
    json_t *kept; /* holds on to anchored values, some of which are in no tree any more */
    size_t nodes;
    int depth;
    int result; /* the first thing that went wrong, or 0 */
    char *error;
};

static json_t *compose(struct composer *composer, const yaml_event_t *event);

/* ---- Errors ---- */

static json_t *fail(struct composer *composer, yaml_mark_t mark, const char *sentence) {
    if (composer->result == 0)
        snprintf(composer->error, YAML_VALUE_ERROR_MAX, "line %zu, column %zu: %s", mark.line + 1,
                 mark.column + 1, sentence);
    composer->result = composer->result < 0 ? composer->result : UV_EINVAL;
    return NULL;
}

static json_t *fail_for_memory(struct composer *composer) {
    fail(composer, composer->parser.mark, "out of memory");
    composer->result = UV_ENOMEM;
    return NULL;
}

/* The % in `pattern` is the name. */
static json_t *fail_named(struct composer *composer, yaml_mark_t mark, const char *pattern,
                          const char *name) {
    char sentence[YAML_VALUE_ERROR_MAX - 64];
    char word[48];
    int before = (int)strcspn(pattern, "%");

    text_escape_utf8(word, sizeof word, name, strlen(name));
    snprintf(sentence, sizeof sentence, "%.*s'%s'%s", before, pattern, word, pattern + before + 1);
    return fail(composer, mark, sentence);
}

/* The next event, to be deleted; false after an error. */
static bool next_event(struct composer *composer, yaml_event_t *event) {
    yaml_parser_t *parser = &composer->parser;

    if (composer->result < 0)
        return false;
    if (yaml_parser_parse(parser, event))
        return true;
    if (parser->error == YAML_MEMORY_ERROR)
        fail_for_memory(composer);
    else if (parser->error == YAML_READER_ERROR)
        fail(composer, parser->mark, "this is not valid UTF-8");
    else
        fail(composer, parser->problem_mark, parser->problem ? parser->problem : "this is no YAML");
    return false;
}

/* ---- Scalars, by the core schema (YAML 1.2.2, 10.3.2) ---- */

static bool is_one_of(const char *text, const char *const *words) {
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static json_t *read_word(const char *text) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};

    if (is_one_of(text, nulls))
        return json_null();
    if (is_one_of(text, trues))
        return json_true();
    return is_one_of(text, falses) ? json_false() : NULL;
}

/* [-+]?[0-9]+, 0o[0-7]+ or 0x[0-9a-fA-F]+; false also for what 64 bits do not hold. */
static bool read_integer(const char *text, long long *ret_value) {
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    int base = 10;
    char *end;

    if (text[0] == '0' && (text[1] == 'o' || text[1] == 'x')) {
        base = text[1] == 'o' ? 8 : 16;
        digits = text = text + 2;
    }
    if (!isxdigit((unsigned char)digits[0]) || (digits[0] == '0' && tolower(digits[1]) == 'x'))
        return false;
    errno = 0;
    *ret_value = strtoll(text, &end, base);
    return end != text && *end == '\0' && errno == 0;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool read_real(const char *text, double *ret_value) {
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    char *end;

    if (strspn(text, "0123456789.eE+-") != strlen(text) ||
        !(isdigit((unsigned char)digits[0]) ||
          (digits[0] == '.' && isdigit((unsigned char)digits[1]))))
        return false;
    *ret_value = strtod(text, &end);
    return *end == '\0' && isfinite(*ret_value);
}

static json_t *make_text(struct composer *composer, const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    json_t *value;

    if (strlen(text) != length)
        return fail(composer, event->start_mark, "a text cannot hold a NUL character");
    value = json_stringn(text, length);
    if (value)
        return value;
    value = json_stringn_nocheck(text, length);
    if (!value)
        return fail_for_memory(composer);
    json_decref(value);
    return fail(composer, event->start_mark, "this text is not valid UTF-8");
}

static json_t *make_plain(struct composer *composer, const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    json_t *value = read_word(text);
    long long whole;
    double real;

    if (value)
        return value;
    if (read_integer(text, &whole))
        value = json_integer(whole);
    else if (read_real(text, &real))
        value = json_real(real);
    else
        return make_text(composer, event);
    return value ? value : fail_for_memory(composer);
}

/* Whether it is read by the look of it. */
static bool is_plain(struct composer *composer, const yaml_event_t *event) {
    static const char *const by_look[] = {TAG_PREFIX "null", TAG_PREFIX "bool", TAG_PREFIX "int",
                                          TAG_PREFIX "float", NULL};
    const char *tag = (const char *)event->data.scalar.tag;

    if (!tag)
        return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (is_one_of(tag, by_look))
        return true;
    if (strcmp(tag, "!") != 0 && strcmp(tag, TAG_PREFIX "str") != 0)
        fail_named(composer, event->start_mark, "the tag % is not known", tag);
    return false;
}

static json_t *compose_scalar(struct composer *composer, const yaml_event_t *event) {
    bool plain = is_plain(composer, event);

    if (composer->result < 0)
        return NULL;
    return plain ? make_plain(composer, event) : make_text(composer, event);
}

/* ---- Anchors ---- */

static struct anchor *find_anchor(struct composer *composer, const char *name) {
    for (size_t i = composer->anchor_count; i > 0; i--)
        if (strcmp(composer->anchors[i - 1].name, name) == 0)
            return &composer->anchors[i - 1];
    return NULL;
}

static const char *anchor_of(const yaml_event_t *event) {
    const yaml_char_t *name = event->type == YAML_SCALAR_EVENT ? event->data.scalar.anchor
                              : event->type == YAML_SEQUENCE_START_EVENT
                                  ? event->data.sequence_start.anchor
                                  : event->data.mapping_start.anchor;

    return (const char *)name;
}

/* A place for a value that is yet to be read: its number, or SIZE_MAX after an error. */
static size_t add_anchor(struct composer *composer, const yaml_event_t *event) {
    struct anchor *anchor = &composer->anchors[composer->anchor_count];

    if (composer->anchor_count == ANCHORS_MAX) {
        fail(composer, event->start_mark, "there are too many anchors");
        return SIZE_MAX;
    }
    *anchor = (struct anchor){.name = strdup(anchor_of(event))};
    if (!anchor->name) {
        fail_for_memory(composer);
        return SIZE_MAX;
    }
    return composer->anchor_count++;
}

/* Copied, for whoever changes the one must not change the other. */
static json_t *compose_alias(struct composer *composer, const yaml_event_t *event) {
    const char *name = (const char *)event->data.alias.anchor;
    struct anchor *anchor = find_anchor(composer, name);
    json_t *copy;

    if (!anchor || !anchor->value)
        return fail_named(composer, event->start_mark,
                          anchor ? "the alias % stands within what it means"
                                 : "there is no anchor % before this alias",
                          name);
    composer->nodes += anchor->nodes;
    if (composer->nodes > YAML_VALUE_NODES_MAX)
        return fail(composer, event->start_mark, "the aliases make this too large");
    copy = json_deep_copy(anchor->value);
    return copy ? copy : fail_for_memory(composer);
}

static json_t *compose_node(struct composer *composer, const yaml_event_t *event) {
    size_t place = SIZE_MAX;
    size_t nodes = composer->nodes;
    json_t *value;

    if (event->type == YAML_ALIAS_EVENT)
        return compose_alias(composer, event);
    if (anchor_of(event) && (place = add_anchor(composer, event)) == SIZE_MAX)
        return NULL;
    if (++composer->nodes > YAML_VALUE_NODES_MAX)
        return fail(composer, event->start_mark, "this is too large");
    value = compose(composer, event);
    if (!value || place == SIZE_MAX)
        return value;
    composer->anchors[place].value = value;
    composer->anchors[place].nodes = composer->nodes - nodes;
    if (json_array_append(composer->kept, value) == 0)
        return value;
    json_decref(value);
    return fail_for_memory(composer);
}

/* ---- Sequences and mappings ---- */

static json_t *compose_sequence(struct composer *composer) {
    json_t *list = json_array();
    yaml_event_t event;

    if (!list)
        return fail_for_memory(composer);
    while (next_event(composer, &event)) {
        bool ends = event.type == YAML_SEQUENCE_END_EVENT;
        json_t *value = ends ? NULL : compose_node(composer, &event);

        yaml_event_delete(&event);
        if (ends)
            return list;
        if (value && json_array_append_new(list, value) < 0)
            fail_for_memory(composer);
    }
    json_decref(list);
    return NULL;
}

static bool is_merge_key(const yaml_event_t *event) {
    return event->type == YAML_SCALAR_EVENT && !event->data.scalar.tag &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp((const char *)event->data.scalar.value, "<<") == 0;
}

/* Adds what the mapping does not have. (json_object_update_missing() says nothing when memory is
 * out.) */
static void merge_one(struct composer *composer, json_t *mapping, json_t *merged,
                      yaml_mark_t mark) {
    const char *name;
    json_t *value;

    if (!json_is_object(merged))
        fail(composer, mark, "<< takes a mapping, or a list of mappings");
    json_object_foreach(merged, name, value) {
        if (!json_object_get(mapping, name) && json_object_set(mapping, name, value) < 0)
            fail_for_memory(composer);
    }
}

/* Mappings that are merged come after the mapping's own keys, wherever they stand in it. */
static void merge(struct composer *composer, json_t *mapping, json_t *merged, yaml_mark_t mark) {
    json_t *item;
    size_t i;

    if (!json_is_array(merged)) {
        merge_one(composer, mapping, merged, mark);
        return;
    }
    json_array_foreach(merged, i, item) merge_one(composer, mapping, item, mark);
}

/* A mapping that is being read. */
struct mapping {
    json_t *entries;
    json_t *merged; /* what stands under <<, or NULL */
    yaml_mark_t merge_mark;
};

static json_t *compose_next(struct composer *composer) {
    json_t *value = NULL;
    yaml_event_t event;

    if (!next_event(composer, &event))
        return NULL;
    value = compose_node(composer, &event);
    yaml_event_delete(&event);
    return value;
}

/* The entry whose key is in `event`. */
static void compose_entry(struct composer *composer, struct mapping *mapping,
                          const yaml_event_t *event) {
    json_t *key;
    json_t *value;

    if (event->type != YAML_SCALAR_EVENT) {
        fail(composer, event->start_mark, "a key must be a scalar");
        return;
    }
    if (is_merge_key(event)) {
        json_decref(mapping->merged);
        mapping->merged = compose_next(composer);
        mapping->merge_mark = event->start_mark;
        return;
    }
    key = make_text(composer, event);
    if (key && json_object_get(mapping->entries, json_string_value(key)))
        fail_named(composer, event->start_mark, "the key % stands here twice",
                   json_string_value(key));
    value = key ? compose_next(composer) : NULL;
    if (value && json_object_set_new(mapping->entries, json_string_value(key), value) < 0)
        fail_for_memory(composer);
    json_decref(key);
}

static json_t *compose_mapping(struct composer *composer) {
    struct mapping mapping = {.entries = json_object()};
    yaml_event_t event;
    bool ends = false;

    if (!mapping.entries)
        return fail_for_memory(composer);
    while (!ends && next_event(composer, &event)) {
        ends = event.type == YAML_MAPPING_END_EVENT;
        if (!ends)
            compose_entry(composer, &mapping, &event);
        yaml_event_delete(&event);
    }
    if (composer->result == 0 && mapping.merged)
        merge(composer, mapping.entries, mapping.merged, mapping.merge_mark);
    json_decref(mapping.merged);
    if (composer->result == 0)
        return mapping.entries;
    json_decref(mapping.entries);
    return NULL;
}

static json_t *compose(struct composer *composer, const yaml_event_t *event) {
    json_t *value;

    if (event->type == YAML_SCALAR_EVENT)
        return compose_scalar(composer, event);
    if (composer->depth == YAML_VALUE_DEPTH_MAX)
        return fail(composer, event->start_mark, "this is nested too deep");
    composer->depth++;
    value = event->type == YAML_SEQUENCE_START_EVENT ? compose_sequence(composer)
                                                     : compose_mapping(composer);
    composer->depth--;
    return value;
}

/* ---- The stream ---- */

/* Skips one event of the stream's structure; its type, or YAML_NO_EVENT after an error. */
static yaml_event_type_t pass(struct composer *composer) {
    yaml_event_type_t type;
    yaml_event_t event;

    if (!next_event(composer, &event))
        return YAML_NO_EVENT;
    type = event.type;
    yaml_event_delete(&event);
    return type;
}

/* STREAM-START [DOCUMENT-START node DOCUMENT-END] STREAM-END. */
static json_t *compose_stream(struct composer *composer) {
    json_t *value;

    pass(composer);
    if (pass(composer) != YAML_DOCUMENT_START_EVENT)
        return composer->result == 0 ? json_null() : NULL;
    value = compose_next(composer);
    pass(composer);
    if (pass(composer) == YAML_DOCUMENT_START_EVENT)
        fail(composer, composer->parser.mark, "there is more than one document");
    if (composer->result == 0)
        return value;
    json_decref(value);
    return NULL;
}

static void clear_anchors(struct composer *composer) {
    for (size_t i = 0; composer->anchors && i < composer->anchor_count; i++)
        free(composer->anchors[i].name);
    free(composer->anchors);
    json_decref(composer->kept);
}

int yaml_value_parse(const char *text, size_t length, json_t **ret_value,
                     char error[YAML_VALUE_ERROR_MAX]) {
    struct composer composer = {.error = error};
    json_t *value = NULL;

    if (!yaml_parser_initialize(&composer.parser)) {
        fail_for_memory(&composer);
        return UV_ENOMEM;
    }
    yaml_parser_set_input_string(&composer.parser, (const unsigned char *)text, length);
    composer.anchors = calloc(ANCHORS_MAX, sizeof *composer.anchors);
    composer.kept = json_array();
    if (composer.anchors && composer.kept)
        value = compose_stream(&composer);
    else
        fail_for_memory(&composer);
    clear_anchors(&composer);
    yaml_parser_delete(&composer.parser);
    if (value)
        *ret_value = value;
    return composer.result;
}
