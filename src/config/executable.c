#include "config/executable.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define HEADERS_MAX  64 /* program headers looked at; programs have about ten */
#define NOTES_MAX    4096
#define GO_BUILD_ID  4 /* the type of Go's note, from its linker */
#define NOTE_ALIGNED 4

struct program_headers {
    Elf64_Phdr items[HEADERS_MAX];
    unsigned count;
};

/* Reads the headers of a 64-bit program of this machine's byte order; false for any other file. */
static bool read_headers(int file, struct program_headers *ret_headers) {
    Elf64_Ehdr header;
    ssize_t size;

    if (pread(file, &header, sizeof header, 0) != (ssize_t)sizeof header ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize != sizeof(Elf64_Phdr))
        return false;
    ret_headers->count = header.e_phnum < HEADERS_MAX ? header.e_phnum : HEADERS_MAX;
    size = (ssize_t)(ret_headers->count * sizeof(Elf64_Phdr));
    return pread(file, ret_headers->items, (size_t)size, (off_t)header.e_phoff) == size;
}

static bool has_type(const struct program_headers *headers, uint32_t type) {
    for (unsigned i = 0; i < headers->count; i++)
        if (headers->items[i].p_type == type)
            return true;
    return false;
}

static size_t aligned(size_t size) {
    return (size + NOTE_ALIGNED - 1) / NOTE_ALIGNED * NOTE_ALIGNED;
}

/* Goes through the notes of one segment. */
static bool notes_name_go(const char *notes, size_t length) {
    size_t at = 0;

    while (at + sizeof(Elf64_Nhdr) <= length) {
        Elf64_Nhdr note;
        size_t name = at + sizeof note;

        memcpy(&note, notes + at, sizeof note);
        if (note.n_namesz > length - name)
            return false;
        if (note.n_type == GO_BUILD_ID && note.n_namesz >= 2 && memcmp(notes + name, "Go", 2) == 0)
            return true;
        if (note.n_descsz > length)
            return false;
        at = name + aligned(note.n_namesz) + aligned(note.n_descsz);
    }
    return false;
}

static bool is_go(int file, const struct program_headers *headers) {
    char notes[NOTES_MAX];

    for (unsigned i = 0; i < headers->count; i++) {
        const Elf64_Phdr *segment = &headers->items[i];
        size_t wanted = segment->p_filesz < sizeof notes ? segment->p_filesz : sizeof notes;
        ssize_t length;

        if (segment->p_type != PT_NOTE)
            continue;
        length = pread(file, notes, wanted, (off_t)segment->p_offset);
        if (length > 0 && notes_name_go(notes, (size_t)length))
            return true;
    }
    return false;
}

enum executable_kind executable_inspect(const char *path) {
    enum executable_kind kind = EXECUTABLE_DYNAMIC;
    struct program_headers headers;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (file < 0)
        return kind;
    if (read_headers(file, &headers)) {
        if (is_go(file, &headers))
            kind = EXECUTABLE_GO;
        else if (!has_type(&headers, PT_INTERP))
            kind = EXECUTABLE_STATIC;
    }
    close(file);
    return kind;
}

const char *executable_describe(enum executable_kind kind) {
    switch (kind) {
    case EXECUTABLE_STATIC:
        return "statically linked";
    case EXECUTABLE_GO:
        return "written in Go";
    case EXECUTABLE_DYNAMIC:
        break;
    }
    return "dynamically linked";
}
