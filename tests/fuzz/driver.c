/* Runs a fuzz target where there is no libFuzzer: mutates the inputs of its corpus a fixed number
 * of times, the same way each time.
 *
 *     fuzz_NAME RUNS SEED DIRECTORY [FIRST]
 *
 * Each input depends on the seed and its number alone. When the target aborts, the number is
 * printed; FIRST set to it and RUNS to 1 repeats just that one. */
#include "base/prng.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX     8192
#define INPUTS_MAX    128
#define MUTATIONS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct input {
    uint8_t bytes[INPUT_MAX];
    size_t length;
};

struct corpus {
    struct input *inputs;
    uint32_t count;
};

static volatile sig_atomic_t current_run; /* for on_abort() */

static void on_abort(int signal_number) {
    char digits[16];
    size_t at = sizeof(digits);
    unsigned long run = (unsigned long)current_run;
    static const char text[] = "aborted in run ";

    (void)signal_number;
    digits[--at] = '\n';
    do {
        digits[--at] = (char)('0' + run % 10);
        run /= 10;
    } while (run > 0);
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ||
        write(STDERR_FILENO, digits + at, sizeof(digits) - at) < 0)
        _exit(2);
}

static int compare_names(const struct dirent **one, const struct dirent **other) {
    return strcmp((*one)->d_name, (*other)->d_name); /* not by locale: the same everywhere */
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int read_input(const char *directory, const char *name, struct input *input) {
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "rbe");
    if (!file)
        return -errno;
    input->length = fread(input->bytes, 1, sizeof(input->bytes), file);
    fclose(file);
    return 0;
}

/* Reads the files in the order of their names. There is always one input, if only the empty one. */
static int read_corpus(const char *directory, struct corpus *corpus) {
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_visible, compare_names);
    int error = count < 0 ? -errno : 0;

    corpus->inputs = calloc(INPUTS_MAX, sizeof(struct input));
    if (!corpus->inputs)
        error = -ENOMEM;
    for (int i = 0; i < count; i++) {
        if (error == 0 && corpus->count < INPUTS_MAX)
            error = read_input(directory, entries[i]->d_name, &corpus->inputs[corpus->count++]);
        free(entries[i]);
    }
    free(entries);
    if (corpus->count == 0)
        corpus->count = 1;
    return error;
}

/* ---- Mutations: each changes the input in one place ---- */

static uint32_t random_place(struct prng *prng, const struct input *input) {
    return prng_below(prng, (uint32_t)input->length + 1);
}

/* A short run of bytes from `place` on, none when the input ends there. */
static uint32_t random_length(struct prng *prng, const struct input *input, uint32_t place) {
    uint32_t rest = (uint32_t)input->length - place;
    uint32_t most = prng_below(prng, 4) == 0 ? rest : (rest < 16 ? rest : 16);

    return prng_below(prng, most + 1);
}

static void insert(struct input *input, uint32_t place, const uint8_t *bytes, size_t length) {
    if (length > INPUT_MAX - input->length)
        return;
    memmove(input->bytes + place + length, input->bytes + place, input->length - place);
    memcpy(input->bytes + place, bytes, length);
    input->length += length;
}

static void flip_bit(struct prng *prng, struct input *input) {
    uint32_t place = random_place(prng, input);

    if (place < input->length)
        input->bytes[place] ^= (uint8_t)(1u << prng_below(prng, 8));
}

static void set_byte(struct prng *prng, struct input *input) {
    static const uint8_t bytes[] = "{}[]\":,\\ \r\n\t0129-+.eE/%;=#'\0\x7f\x80\xff\xfe";
    uint32_t place = random_place(prng, input);

    if (place < input->length)
        input->bytes[place] = bytes[prng_below(prng, sizeof(bytes))];
}

static void insert_byte(struct prng *prng, struct input *input) {
    uint8_t byte = (uint8_t)prng_below(prng, 256);

    insert(input, random_place(prng, input), &byte, 1);
}

static void delete_run(struct prng *prng, struct input *input) {
    uint32_t place = random_place(prng, input);
    uint32_t length = random_length(prng, input, place);

    memmove(input->bytes + place, input->bytes + place + length, input->length - place - length);
    input->length -= length;
}

static void repeat_run(struct prng *prng, struct input *input) {
    uint8_t copy[INPUT_MAX];
    uint32_t place = random_place(prng, input);
    uint32_t length = random_length(prng, input, place);

    memcpy(copy, input->bytes + place, length);
    for (uint32_t times = prng_below(prng, 4) + 1; times > 0; times--)
        insert(input, place, copy, length);
}

static void insert_number(struct prng *prng, struct input *input) {
    static const char *const numbers[] = {"0",
                                          "-1",
                                          "255",
                                          "65535",
                                          "65536",
                                          "2147483647",
                                          "2147483648",
                                          "4294967295",
                                          "4294967296",
                                          "1e308",
                                          "1e-400",
                                          "9223372036854775807",
                                          "9223372036854775808"};
    const char *number = numbers[prng_below(prng, sizeof(numbers) / sizeof(numbers[0]))];

    insert(input, random_place(prng, input), (const uint8_t *)number, strlen(number));
}

static void cut_end(struct prng *prng, struct input *input) {
    input->length = random_place(prng, input);
}

static void splice(struct prng *prng, struct input *input, const struct corpus *corpus) {
    const struct input *other = &corpus->inputs[prng_below(prng, corpus->count)];
    uint32_t place = random_place(prng, other);

    insert(input, random_place(prng, input), other->bytes + place,
           random_length(prng, other, place));
}

static void mutate(struct prng *prng, struct input *input, const struct corpus *corpus) {
    static void (*const mutations[])(struct prng *, struct input *) = {
        flip_bit, set_byte, insert_byte, delete_run, repeat_run, insert_number, cut_end};
    uint32_t choice = prng_below(prng, sizeof(mutations) / sizeof(mutations[0]) + 1);

    if (choice < sizeof(mutations) / sizeof(mutations[0]))
        mutations[choice](prng, input);
    else
        splice(prng, input, corpus);
}

/* The first runs are the corpus as it is. The input is on the heap and of its exact size, so that a
 * sanitizer sees a read past its end. */
static int run_once(const struct corpus *corpus, uint64_t seed, uint64_t run) {
    struct prng prng = {.state = seed ^ prng_mix(run + 1)};
    struct input input;
    uint8_t *exact;

    if (run < corpus->count) {
        input = corpus->inputs[run];
    } else {
        input = corpus->inputs[prng_below(&prng, corpus->count)];
        for (uint32_t times = prng_below(&prng, MUTATIONS_MAX) + 1; times > 0; times--)
            mutate(&prng, &input, corpus);
    }
    exact = malloc(input.length ? input.length : 1);
    if (!exact)
        return -ENOMEM;
    memcpy(exact, input.bytes, input.length);
    LLVMFuzzerTestOneInput(exact, input.length);
    free(exact);
    return 0;
}

int main(int argc, char **argv) {
    struct corpus corpus = {.count = 0};
    uint64_t runs, seed, first;
    int error;

    if (argc < 4) {
        fprintf(stderr, "usage: %s RUNS SEED DIRECTORY [FIRST]\n", argv[0]);
        return 2;
    }
    runs = strtoull(argv[1], NULL, 10);
    seed = strtoull(argv[2], NULL, 10);
    first = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    error = read_corpus(argv[3], &corpus);
    signal(SIGABRT, on_abort);
    for (uint64_t run = first; error == 0 && run < first + runs; run++) {
        current_run = (sig_atomic_t)run;
        error = run_once(&corpus, seed, run);
    }
    free(corpus.inputs);
    if (error)
        fprintf(stderr, "%s: %s\n", argv[3], strerror(-error));
    return error ? 1 : 0;
}
