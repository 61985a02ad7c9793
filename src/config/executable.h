/* What kind of program a file holds: whether the preload library can stand between it and the
 * kernel.
 *
 * Read from its ELF headers (elf(5)); nothing is executed. */
#ifndef BATON_CONFIG_EXECUTABLE_H
#define BATON_CONFIG_EXECUTABLE_H

enum executable_kind {
    EXECUTABLE_DYNAMIC, /* loaded by the dynamic linker, or unknown: a script, say */
    EXECUTABLE_STATIC,  /* no dynamic linker (no PT_INTERP), so no library is loaded into it */
    EXECUTABLE_GO,      /* built by Go, which makes its system calls itself even where it is dynamic
                           (.note.go.buildid) */
};

/* A file that cannot be read counts as dynamic: whoever runs it will say what is wrong. */
enum executable_kind executable_inspect(const char *path);

/* For a sentence: "statically linked", "written in Go". */
const char *executable_describe(enum executable_kind kind);

#endif
