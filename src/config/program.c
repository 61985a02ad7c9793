#include "config/program.h"

#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define SHELL "bash"

static const struct interpreter {
    const char *ending;
    const char *program;
} interpreters[] = {
    {".js", "node"}, {".mjs", "node"}, {".cjs", "node"}, {".ts", "node"}, {".py", "python3"},
    {".rb", "ruby"}, {".php", "php"},  {".pl", "perl"},  {".sh", "bash"},
};

/* npm and its likes start the program as a grandchild that does not get the channel, and answer on
 * it themselves. */
static const char *const wrappers[] = {"npm", "npx", "yarn", "pnpm"};

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool is_file(const char *path) {
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* The first executable file called `name` in PATH, copied to `path`. */
static bool find_in_path(const char *name, char path[PATH_MAX]) {
    const char *directory = getenv("PATH");

    if (!directory)
        directory = "/usr/local/bin:/usr/bin:/bin";
    while (*directory) {
        size_t length = strcspn(directory, ":");
        int written = snprintf(path, PATH_MAX, "%.*s/%s", (int)length, directory, name);

        if (length > 0 && written < PATH_MAX && is_file(path) && access(path, X_OK) == 0)
            return true;
        directory += length;
        if (*directory == ':')
            directory++;
    }
    return false;
}

static const char *skip_dots(const char *path) {
    while (strncmp(path, "./", 2) == 0)
        path += 2 + strspn(path + 2, "/");
    return path;
}

static bool is_directory(const char *path) {
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Links stay as they are: a reload must find what a link like "current" leads to by then, and some
 * programs go by the name they are called. */
static bool make_absolute(const char *name, char path[PATH_MAX]) {
    char directory[PATH_MAX];

    name = skip_dots(name);
    if (name[0] == '/')
        return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
    return getcwd(directory, sizeof directory) &&
           snprintf(path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX;
}

/* Where the script would be as a file: relative names are meant from the working directory that the
 * worker will have. */
static bool script_path(const struct settings *settings, char path[PATH_MAX]) {
    const char *script = skip_dots(settings->script);
    char joined[PATH_MAX];

    if (script[0] == '/' || !settings->cwd)
        return make_absolute(script, path);
    return snprintf(joined, sizeof joined, "%s/%s", settings->cwd, script) < PATH_MAX &&
           make_absolute(joined, path);
}

static int complain_of_script(const struct settings *settings, bool bare, bool directory,
                              char error[SETTINGS_ERROR_MAX]) {
    if (directory) {
        snprintf(error, SETTINGS_ERROR_MAX, "'%s' is a directory: name the script in it",
                 settings->script);
        return UV_EISDIR;
    }
    if (access(settings->script, F_OK) < 0 && errno == EACCES) {
        snprintf(error, SETTINGS_ERROR_MAX, "'%s' cannot be reached: permission denied",
                 settings->script);
        return UV_EACCES;
    }
    snprintf(error, SETTINGS_ERROR_MAX,
             bare ? "there is no file '%s' here, and no command of that name in PATH"
                  : "there is no file '%s'",
             settings->script);
    return UV_ENOENT;
}

bool program_is_command_line(const struct settings *settings) {
    char file[PATH_MAX];

    return settings->script && strpbrk(settings->script, " \t") &&
           !(script_path(settings, file) && access(file, F_OK) == 0);
}

/* "-c", the line, and what the line's last command gets besides. */
static int use_shell(struct settings *settings, const char *shell) {
    struct text_list args = {.items = NULL};
    char *line = NULL;
    bool more = settings->args.count > 0;
    int result = UV_ENOMEM;

    if (asprintf(&line, "%s%s", settings->script, more ? " \"$@\"" : "") < 0)
        return UV_ENOMEM;
    if (text_list_add(&args, "-c") == 0 && text_list_add(&args, line) == 0)
        result = more ? text_list_add(&args, SHELL) : 0;
    for (size_t i = 0; i < settings->args.count && result == 0; i++)
        result = text_list_add(&args, settings->args.items[i]);
    free(line);
    text_list_clear(result == 0 ? &settings->args : &args);
    if (result < 0)
        return result;
    settings->args = args;
    result = settings_set_text(&settings->interpreter, "none");
    return result == 0 ? settings_set_text(&settings->script, shell) : result;
}

/* Words that are no file are for a shell, as PM2 has it, which becomes the last command that it
 * runs. */
static int find_shell(struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    char shell[PATH_MAX];

    if (find_in_path(SHELL, shell))
        return use_shell(settings, shell);
    snprintf(error, SETTINGS_ERROR_MAX,
             "'%.128s' is for a shell, and there is no " SHELL " in PATH", settings->script);
    return UV_ENOENT;
}

static int find_script(struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    bool bare = strchr(settings->script, '/') == NULL;
    char file[PATH_MAX];
    char command[PATH_MAX];
    bool fits = settings->script[0] && script_path(settings, file);

    if (program_is_command_line(settings))
        return find_shell(settings, error);
    if (fits && is_file(file))
        return settings_set_text(&settings->script, file);
    if (!bare || !find_in_path(settings->script, command))
        return complain_of_script(settings, bare, fits && is_directory(file), error);
    if (!settings->interpreter && settings_set_text(&settings->interpreter, "none") < 0)
        return UV_ENOMEM;
    return settings_set_text(&settings->script, command);
}

/* Copies the interpreter's name that a "#!" line gives, env(1) looked through: "#!/usr/bin/env
 * node" is "node". */
static bool first_line_names(const char *script, char name[NAME_MAX + 1]) {
    char line[256] = "";
    char *save = NULL;
    char *word;
    FILE *file = fopen(script, "re");
    bool has_line;

    if (!file)
        return false;
    has_line = fgets(line, sizeof line, file) && strncmp(line, "#!", 2) == 0;
    fclose(file);
    if (!has_line)
        return false;
    word = strtok_r(line + 2, " \t\r\n", &save);
    if (word && strcmp(base_name(word), "env") == 0)
        do
            word = strtok_r(NULL, " \t\r\n", &save);
        while (word && word[0] == '-');
    if (!word)
        return false;
    snprintf(name, NAME_MAX + 1, "%s", base_name(word));
    return true;
}

static const char *interpreter_for(const struct settings *settings) {
    for (size_t i = 0; i < sizeof interpreters / sizeof interpreters[0]; i++)
        if (text_ends_with(settings->script, interpreters[i].ending))
            return interpreters[i].program;
    return NULL;
}

static int find_interpreter(struct settings *settings, const char *name,
                            char error[SETTINGS_ERROR_MAX]) {
    char path[PATH_MAX];

    if (strchr(name, '/')) {
        if (is_file(name) && access(name, X_OK) == 0 && make_absolute(name, path))
            return settings_set_text(&settings->interpreter, path);
    } else if (find_in_path(name, path)) {
        return settings_set_text(&settings->interpreter, path);
    }
    snprintf(error, SETTINGS_ERROR_MAX,
             "'%.128s' needs the interpreter '%.128s', which is not installed or not in PATH",
             base_name(settings->script), name);
    return UV_ENOENT;
}

static int choose_interpreter(struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    const char *name = settings->interpreter ? settings->interpreter : interpreter_for(settings);

    if (settings_set_text(&settings->interpreter_name, name ? name : "none") < 0)
        return UV_ENOMEM;
    if (name && strcmp(name, "none") != 0) {
        char wanted[PATH_MAX];

        snprintf(wanted, sizeof wanted, "%s", name);
        return find_interpreter(settings, wanted, error);
    }
    if (access(settings->script, X_OK) == 0)
        return settings_set_text(&settings->interpreter, "none");
    snprintf(error, SETTINGS_ERROR_MAX,
             "'%s' is neither executable nor of a known kind; name what runs it with --interpreter",
             base_name(settings->script));
    return UV_EACCES;
}

static bool is_wrapper(const char *path) {
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++)
        if (strcmp(base_name(path), wrappers[i]) == 0)
            return true;
    return false;
}

int program_resolve(struct settings *settings, char error[SETTINGS_ERROR_MAX]) {
    bool bare = strchr(settings->script, '/') == NULL;
    int result;

    if (bare && is_wrapper(settings->script) && settings->intercept != SETTINGS_INTERCEPT_NONE &&
        !settings->fork_mode) {
        snprintf(error, SETTINGS_ERROR_MAX,
                 "'%s' starts the program where the master cannot reach it; give the program's own "
                 "script instead, or "
                 "-x to run it unbalanced",
                 settings->script);
        return UV_EINVAL;
    }
    result = find_script(settings, error);
    if (result < 0)
        return result;
    return choose_interpreter(settings, error);
}

const char *program_file(const struct settings *settings) {
    return strcmp(settings->interpreter, "none") == 0 ? settings->script : settings->interpreter;
}

static bool is_node_name(const char *name) {
    return strcmp(name, "node") == 0 || strcmp(name, "nodejs") == 0;
}

bool program_is_node(const struct settings *settings) {
    char name[NAME_MAX + 1];

    if (strcmp(settings->interpreter, "none") != 0)
        return is_node_name(base_name(settings->interpreter));
    if (is_node_name(base_name(settings->script)))
        return true;
    return first_line_names(settings->script, name) && is_node_name(name);
}

bool program_has_channel(const struct settings *settings) {
    return settings->intercept == SETTINGS_INTERCEPT_NODE ||
           settings->intercept == SETTINGS_INTERCEPT_NODE_FAST;
}
