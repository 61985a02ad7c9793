/* startup, unstartup: the daemon at boot, by a unit of systemd. */
#include "cli/help.h"
#include "cli/message.h"
#include "cli/options.h"
#include "cli/records.h"
#include "cli/systemd_unit.h"
#include "config/home.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define UNIT_DIRECTORY   "/etc/systemd/system"
#define UNIT_VARIABLE    "BATON_SYSTEMD_DIR"
#define BOOTED_DIRECTORY "/run/systemd/system" /* sd_booted(3) */
#define UNIT_NAME_MAX    256

extern char **environ;

struct startup_flags {
    const char *user;
    const char *user_home;
    const char *service;
    const char *root;
    bool help;
};

/* What is to be done, found out before anything is. */
struct startup {
    struct cli_call call; /* for what is said */
    struct startup_flags flags;
    char user[UNIT_NAME_MAX];
    char user_home[PATH_MAX];
    char home[PATH_MAX];
    char program[PATH_MAX];
    char directory[PATH_MAX]; /* of the unit */
    char unit[UNIT_NAME_MAX];
    char path[PATH_MAX + UNIT_NAME_MAX];
};

static int set_user(void *target, const char *value) {
    ((struct startup_flags *)target)->user = value;
    return 0;
}

static int set_user_home(void *target, const char *value) {
    ((struct startup_flags *)target)->user_home = value;
    return value[0] == '/' ? 0 : UV_EINVAL;
}

static int set_service(void *target, const char *value) {
    ((struct startup_flags *)target)->service = value;
    return value[0] && !strchr(value, '/') ? 0 : UV_EINVAL;
}

static int set_root(void *target, const char *value) {
    ((struct startup_flags *)target)->root = value;
    return 0;
}

static int set_help(void *target, const char *value) {
    (void)value;
    ((struct startup_flags *)target)->help = true;
    return 0;
}

static const struct cli_option startup_options[] = {
    {"user", 'u', "USER", NULL, "whose daemon (yours)", set_user},
    {"hp", 0, "DIR", "an absolute path", "that user's home directory", set_user_home},
    {"service-name", 0, "NAME", "a name", "the unit's name (baton-USER)", set_service},
    {"root", 0, "DIR", NULL, "for the system that lies in DIR, as an image is built", set_root},
    {"help", 'h', NULL, NULL, "this text", set_help},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static int fail(const struct startup *startup, const char *what, const char *path, int error) {
    return cli_fail(&startup->call, "cannot %s %s: %s", what, path, uv_strerror(error));
}

/* --- what is to be done --- */

static enum cli_verdict parse(struct startup *startup, int argc, char **argv) {
    const struct cli_command *command = startup->call.command;
    struct cli_words words = {.called = startup->call.context->dialect->name};

    if (options_parse(argc, argv, startup_options, &startup->flags, &words) < 0)
        return CLI_WRONG;
    if (startup->flags.help) {
        help_print_command(startup->call.context, command, startup_options);
        return CLI_SHOWN;
    }
    if (words.count + words.rest_count > 1 ||
        (words.count == 1 && strcmp(words.words[0], "systemd") != 0)) {
        cli_fail(&startup->call, "%s knows systemd only", command->name);
        return CLI_WRONG;
    }
    return CLI_GO;
}

static void fill_options(struct cli_option table[OPTIONS_MAX + 1]) {
    memcpy(table, startup_options, sizeof startup_options);
}

/* The user may be known only to the system in --root; then --hp says what is to be known. */
static int find_user(struct startup *startup) {
    const struct startup_flags *flags = &startup->flags;
    const struct passwd *entry = flags->user ? getpwnam(flags->user) : getpwuid(geteuid());
    const char *name = entry ? entry->pw_name : flags->user;
    const char *home = flags->user_home ? flags->user_home : entry ? entry->pw_dir : NULL;

    if (!name)
        return cli_fail(&startup->call, "user %u has no name: say one with -u",
                        (unsigned)geteuid());
    if (!entry && !flags->root)
        return cli_fail(&startup->call, "there is no user '%s'", name);
    if (!home)
        return cli_fail(&startup->call, "where the home of '%s' is must be said with --hp", name);
    snprintf(startup->user, sizeof startup->user, "%s", name);
    snprintf(startup->user_home, sizeof startup->user_home, "%s", home);
    return 0;
}

static int find_home(struct startup *startup) {
    const struct cli_dialect *dialect = startup->call.context->dialect;
    char cwd[PATH_MAX];
    struct home_source source = {
        .pm2 = dialect->pm2,
        .given = getenv(dialect->home_variable),
        .user = startup->user_home,
        .cwd = getcwd(cwd, sizeof cwd),
    };
    int result = home_path(&source, startup->home, sizeof startup->home);

    return result < 0 ? fail(startup, "use the home of", startup->user, result) : 0;
}

static int find_unit(struct startup *startup) {
    const struct cli_dialect *dialect = startup->call.context->dialect;
    const struct startup_flags *flags = &startup->flags;
    const char *given = getenv(UNIT_VARIABLE);
    size_t length = sizeof startup->program;
    int result = uv_exepath(startup->program, &length);

    if (result < 0)
        return fail(startup, "find", dialect->name, result);
    if (flags->service)
        snprintf(startup->unit, sizeof startup->unit, "%s.service", flags->service);
    else if (systemd_unit_name(dialect->name, startup->user, startup->unit, UNIT_NAME_MAX) < 0)
        return cli_fail(&startup->call, "the name of '%s' is too long", startup->user);
    if (snprintf(startup->directory, sizeof startup->directory, "%s%s",
                 flags->root ? flags->root : "",
                 given && given[0] && !flags->root ? given : UNIT_DIRECTORY) >= PATH_MAX)
        return cli_fail(&startup->call, "the path of the unit is too long");
    snprintf(startup->path, sizeof startup->path, "%s/%s", startup->directory, startup->unit);
    return 0;
}

static bool is_for_this_system(const struct startup *startup) {
    return !startup->flags.root && !getenv(UNIT_VARIABLE);
}

static int check_systemd(const struct startup *startup) {
    if (!is_for_this_system(startup) || access(BOOTED_DIRECTORY, F_OK) == 0)
        return 0;
    return cli_fail(&startup->call,
                    "this system does not run systemd, which would start the daemon at boot; in a "
                    "container let it start '%s daemon --resurrect'",
                    startup->call.context->dialect->name);
}

/* A word of a shell's command. */
static void print_word(const char *word) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@+,";

    if (word[0] && !word[strspn(word, plain)]) {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*word);
    putchar('\'');
}

static void print_option(const char *option, const char *value) {
    fputs(option, stdout);
    print_word(value);
}

/* The command that does it with the right to. */
static int print_sudo(const struct startup *startup) {
    const struct cli_dialect *dialect = startup->call.context->dialect;
    const char *path = getenv("PATH");
    const char *directory = getenv(UNIT_VARIABLE);

    cli_say(&startup->call, "This needs root. Copy and run the following command:");
    print_option("sudo env PATH=", path ? path : "/usr/bin:/bin");
    printf(" %s=", dialect->home_variable);
    print_word(startup->home);
    if (directory)
        print_option(" " UNIT_VARIABLE "=", directory);
    /* By its path it would not know that it is called pm2. */
    print_option(" ", dialect->pm2 ? dialect->name : startup->program);
    printf(" %s systemd", startup->call.command->name);
    print_option(" -u ", startup->user);
    print_option(" --hp ", startup->user_home);
    if (startup->flags.service)
        print_option(" --service-name ", startup->flags.service);
    putchar('\n');
    return 1;
}

/* --- doing it --- */

/* Waits for it; its exit code, or 1 after a sentence. */
static int run_systemctl(const struct startup *startup, const char *verb, const char *unit) {
    char root[PATH_MAX + 8];
    char words[3][UNIT_NAME_MAX] = {"systemctl"};
    char *argv[5] = {words[0]};
    int count = 1;
    int status;
    pid_t pid;
    int error;

    snprintf(root, sizeof root, "--root=%s", startup->flags.root ? startup->flags.root : "");
    snprintf(words[1], sizeof words[1], "%s", verb);
    snprintf(words[2], sizeof words[2], "%s", unit ? unit : "");
    if (startup->flags.root)
        argv[count++] = root;
    argv[count++] = words[1];
    argv[count] = unit ? words[2] : NULL;
    error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
    if (error != 0)
        return fail(startup, "run", "systemctl", uv_translate_sys_error(error));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return fail(startup, "wait for", "systemctl", uv_translate_sys_error(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return cli_fail(&startup->call, "systemctl %s%s%s has failed", verb, unit ? " " : "",
                    unit ? unit : "");
}

/* What is in an image is read when that starts. */
static int reload_systemd(const struct startup *startup) {
    return startup->flags.root ? 0 : run_systemctl(startup, "daemon-reload", NULL);
}

static int make_directories(const char *directory) {
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/", directory) >= PATH_MAX)
        return UV_ENAMETOOLONG;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return uv_translate_sys_error(errno);
        *slash = '/';
    }
    return 0;
}

/* Beside it first, so that systemd never reads half of it. */
static int write_file(const char *path, const struct buffer *text) {
    char beside[PATH_MAX + UNIT_NAME_MAX + 8];
    size_t length = buffer_length(text);
    int descriptor;
    int result = 0;

    snprintf(beside, sizeof beside, "%s.new", path);
    descriptor = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    if (write(descriptor, buffer_data(text), length) != (ssize_t)length || fsync(descriptor) < 0)
        result = errno ? uv_translate_sys_error(errno) : UV_EIO;
    close(descriptor);
    if (result == 0 && rename(beside, path) < 0)
        result = uv_translate_sys_error(errno);
    if (result < 0)
        unlink(beside);
    return result;
}

static int write_unit(const struct startup *startup) {
    const struct cli_dialect *dialect = startup->call.context->dialect;
    struct systemd_unit unit = {
        .program = startup->program,
        .name = dialect->name,
        .user = startup->user,
        .home = startup->home,
        .home_variable = dialect->home_variable,
        .path = getenv("PATH"),
    };
    struct buffer text;
    int result;

    buffer_init(&text);
    result = systemd_unit_print(&unit, &text);
    if (result == 0)
        result = make_directories(startup->directory);
    if (result == 0)
        result = write_file(startup->path, &text);
    buffer_clear(&text);
    return result;
}

static int install(const struct startup *startup) {
    const struct cli_dialect *dialect = startup->call.context->dialect;
    int result = write_unit(startup);

    if (result == UV_EACCES && !startup->flags.root)
        return print_sudo(startup);
    if (result < 0)
        return fail(startup, "write", startup->path, result);
    cli_say(&startup->call, "Wrote %s", startup->path);
    if (reload_systemd(startup) != 0 || run_systemctl(startup, "enable", startup->unit) != 0)
        return 1;
    cli_say(&startup->call, "Enabled %s: at boot the daemon starts and the saved apps with it",
            startup->unit);
    cli_say(&startup->call, "To save what runs now: %s save", dialect->name);
    cli_say(&startup->call, "To undo this: %s unstartup", dialect->name);
    return 0;
}

/* What runs is left alone. */
static int uninstall(const struct startup *startup) {
    if (access(startup->path, F_OK) < 0) {
        cli_say(&startup->call, "There is no %s: nothing to undo", startup->path);
        return 0;
    }
    if (access(startup->directory, W_OK) < 0 && !startup->flags.root)
        return print_sudo(startup);
    if (run_systemctl(startup, "disable", startup->unit) != 0)
        return 1;
    cli_say(&startup->call, "Disabled %s: the daemon no longer starts at boot", startup->unit);
    if (unlink(startup->path) < 0)
        return fail(startup, "remove", startup->path, uv_translate_sys_error(errno));
    cli_say(&startup->call, "Removed %s", startup->path);
    return reload_systemd(startup);
}

static int run(const struct cli_context *context, const struct cli_command *command, int argc,
               char **argv) {
    struct startup startup = {.call = {.context = context, .command = command}};
    enum cli_verdict verdict = parse(&startup, argc, argv);

    if (verdict != CLI_GO)
        return verdict == CLI_WRONG;
    if (check_systemd(&startup) != 0 || find_user(&startup) != 0 || find_home(&startup) != 0 ||
        find_unit(&startup) != 0)
        return 1;
    return command == &command_startup ? install(&startup) : uninstall(&startup);
}

static int run_startup(const struct cli_context *context, int argc, char **argv) {
    return run(context, &command_startup, argc, argv);
}

static int run_unstartup(const struct cli_context *context, int argc, char **argv) {
    return run(context, &command_unstartup, argc, argv);
}

const struct cli_command command_startup = {
    .name = "startup",
    .usage = "[OPTIONS] [systemd]",
    .summary = "start the daemon at boot: write and enable a unit of systemd",
    .examples = "startup\n"
                "save",
    .fill_options = fill_options,
    .run_itself = run_startup,
};

const struct cli_command command_unstartup = {
    .name = "unstartup",
    .usage = "[OPTIONS] [systemd]",
    .summary = "do not start the daemon at boot: take the unit back",
    .fill_options = fill_options,
    .run_itself = run_unstartup,
};
