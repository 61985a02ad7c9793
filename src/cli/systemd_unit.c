#include "cli/systemd_unit.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static bool is_plain(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* Between quotes: of what has a meaning there, quotes, backslashes and '%' are left. */
static int print_quoted(struct buffer *buffer, const char *before, const char *text) {
    int result = buffer_print(buffer, "\"%s", before);

    if (!is_plain(text))
        return UV_EINVAL;
    for (; *text && result == 0; text++)
        if (*text == '"' || *text == '\\')
            result = buffer_print(buffer, "\\%c", *text);
        else if (*text == '%')
            result = buffer_print(buffer, "%%%%");
        else
            result = buffer_append(buffer, text, 1);
    return result < 0 ? result : buffer_print(buffer, "\"");
}

static int print_variable(struct buffer *buffer, const char *name, const char *value) {
    char before[64];
    int result = buffer_print(buffer, "Environment=");

    snprintf(before, sizeof before, "%s=", name);
    if (result == 0)
        result = print_quoted(buffer, before, value);
    return result < 0 ? result : buffer_print(buffer, "\n");
}

/* '@': the program is told the name by which it is called. */
static int print_command(struct buffer *buffer, const struct systemd_unit *unit, const char *key,
                         const char *words) {
    int result = buffer_print(buffer, "%s=", key);

    if (result == 0)
        result = print_quoted(buffer, "@", unit->program);
    return result < 0 ? result : buffer_print(buffer, " %s %s\n", unit->name, words);
}

static int print_service(struct buffer *buffer, const struct systemd_unit *unit) {
    int result = print_command(buffer, unit, "ExecStart", "daemon --resurrect");

    if (result == 0)
        result = print_command(buffer, unit, "ExecReload", "reload all");
    if (result == 0)
        result = print_command(buffer, unit, "ExecStop", "kill");
    if (result == 0)
        result = print_variable(buffer, unit->home_variable, unit->home);
    if (result == 0 && unit->path)
        result = print_variable(buffer, "PATH", unit->path);
    return result;
}

int systemd_unit_print(const struct systemd_unit *unit, struct buffer *buffer) {
    int result;

    if (!is_plain(unit->user))
        return UV_EINVAL;
    result = buffer_print(buffer,
                          "[Unit]\n"
                          "Description=Process manager and load balancer (%s)\n"
                          "Documentation=man:baton(1)\n"
                          "Wants=network-online.target\n"
                          "After=network-online.target\n"
                          "\n"
                          "[Service]\n"
                          "Type=notify\n"
                          "User=%s\n",
                          unit->name, unit->user);
    if (result == 0)
        result = print_service(buffer, unit);
    if (result < 0)
        return result;
    return buffer_print(buffer, "Restart=on-failure\n"
                                "KillMode=process\n"
                                "Delegate=yes\n"
                                "LimitNOFILE=65536:1048576\n"
                                "\n"
                                "[Install]\n"
                                "WantedBy=multi-user.target\n");
}

int systemd_unit_name(const char *name, const char *user, char *text, size_t size) {
    int length = snprintf(text, size, "%s-%s.service", name, user);

    if (length < 0 || (size_t)length >= size)
        return UV_ENAMETOOLONG;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("_-.", *text))
            *text = '_';
    return 0;
}
