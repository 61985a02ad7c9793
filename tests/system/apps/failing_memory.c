/* Loaded before libc's allocator: the n-th allocation fails, when a test says so by the numbers
 * that it shares with us in the file $FAILING_MEMORY. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct orders {
    atomic_long left;   /* allocations up to the one that fails; 0: none does */
    atomic_long failed; /* how many did */
};

static struct orders *orders;
static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static char early[8192]; /* what dlsym() itself needs */
static size_t early_used;

__attribute__((constructor)) static void set_up(void) {
    next_malloc = dlsym(RTLD_NEXT, "malloc");
    next_calloc = dlsym(RTLD_NEXT, "calloc");
    next_realloc = dlsym(RTLD_NEXT, "realloc");
    const char *path = getenv("FAILING_MEMORY");
    int file = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) {
        return;
    }
    void *shared = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    orders = shared != MAP_FAILED ? shared : NULL;
}

static int fails(void) {
    if (orders == NULL || atomic_load(&orders->left) <= 0 ||
        atomic_fetch_sub(&orders->left, 1) != 1) {
        return 0;
    }
    atomic_fetch_add(&orders->failed, 1);
    errno = ENOMEM;
    return 1;
}

static void *take_early(size_t size) {
    size = (size + 15) & ~(size_t)15;
    void *piece = early + early_used;
    early_used += size;
    return early_used <= sizeof early ? piece : NULL;
}

void *malloc(size_t size) {
    if (next_malloc == NULL) {
        return take_early(size);
    }
    return fails() ? NULL : next_malloc(size);
}

void *calloc(size_t count, size_t size) {
    if (next_calloc == NULL) {
        return take_early(count * size);
    }
    return fails() ? NULL : next_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    return fails() ? NULL : next_realloc(memory, size);
}
