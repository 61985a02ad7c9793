#include "config/attribute.h"

#include "config/attribute_table.h"
#include "config/relaxed_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <uv.h>

static struct settings settings;
static struct text_list warnings;
static char error[SETTINGS_ERROR_MAX];

static int set_up(void **state) {
    (void)state;
    settings_init(&settings);
    warnings = (struct text_list){.items = NULL};
    error[0] = '\0';
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    settings_clear(&settings);
    text_list_clear(&warnings);
    return 0;
}

static json_t *parse(const char *text) {
    json_t *value = NULL;

    if (relaxed_json_parse(text, strlen(text), &value, error) < 0)
        fail_msg("%s: %s", text, error);
    return value;
}

static void apply(const char *text) {
    json_t *app = parse(text);

    if (attribute_apply(&settings, app, &warnings, error) < 0)
        fail_msg("%s: %s", text, error);
    json_decref(app);
}

static void check_refused(const char *text, const char *sentence) {
    json_t *app = parse(text);

    if (attribute_apply(&settings, app, &warnings, error) != UV_EINVAL)
        fail_msg("%s is taken", text);
    if (strcmp(error, sentence) != 0)
        fail_msg("%s: '%s' instead of '%s'", text, error, sentence);
    json_decref(app);
}

static void check_list(const struct text_list *list, const char *expected) {
    char joined[512] = "";

    for (size_t i = 0; i < list->count; i++) {
        strcat(joined, i > 0 ? "|" : "");
        strcat(joined, list->items[i]);
    }
    assert_string_equal(joined, expected);
}

/* ---- Applying ---- */

static void test_texts(void **state) {
    (void)state;
    apply("{script: 'a.js', name: 'api', namespace: 'web', cwd: '/srv', interpreter: 'none',"
          " uid: 1000, gid: 'www', policy: 'least', listen: '80', pid_file: '/p',"
          " log_date_format: 'HH:mm', instance_var: 'I', increment_var: 'PORT'}");
    assert_string_equal(settings.script, "a.js");
    assert_string_equal(settings.name, "api");
    assert_string_equal(settings.namespace, "web");
    assert_string_equal(settings.cwd, "/srv");
    assert_string_equal(settings.interpreter, "none");
    assert_string_equal(settings.uid, "1000");
    assert_string_equal(settings.gid, "www");
    assert_string_equal(settings.policy, "least");
    assert_string_equal(settings.listen, "80");
    assert_string_equal(settings.pid_file, "/p");
    assert_string_equal(settings.log_date_format, "HH:mm");
    assert_string_equal(settings.instance_var, "I");
    assert_string_equal(settings.increment_var, "PORT");
    check_refused("{name: ''}", "name takes a name, not \"\"");
    check_refused("{name: true}", "name takes a name, not true");
    check_refused("{script: ['a']}", "script takes a file or a command, not [\"a\"]");
}

static void test_what_was_said_last_counts(void **state) {
    (void)state;
    apply("{name: 'one', args: 'a b', stop_exit_codes: [1, 2]}");
    apply("{name: 'two', args: ['c'], stop_exit_codes: 3}");
    assert_string_equal(settings.name, "two");
    check_list(&settings.args, "c");
    assert_int_equal(settings.stop_code_count, 1);
    apply("{name: null, args: null}");
    assert_string_equal(settings.name, "two");
    check_list(&settings.args, "c");
}

static void test_booleans(void **state) {
    (void)state;
    apply("{autorestart: false, autostart: 'false', treekill: false, wait_ready: true,"
          " merge_logs: 'true', disable_logs: true, time: true, shutdown_with_message: true,"
          " append_env_to_name: true, trace: true}");
    assert_false(settings.autorestart || settings.autostart || settings.treekill);
    assert_true(settings.wait_ready && settings.merge_logs && settings.disable_logs);
    assert_true(settings.time && settings.shutdown_with_message && settings.trace);
    assert_true(settings.append_env_to_name);
    check_refused("{time: 1}", "time takes true or false, not 1");
    check_refused("{time: 'yes'}", "time takes true or false, not \"yes\"");
}

static void check_instances(const char *text, uint32_t instances, int32_t less) {
    settings_clear(&settings);
    apply(text);
    assert_true(settings.instances_given);
    assert_int_equal(settings.instances, instances);
    assert_int_equal(settings.instances_less, less);
}

static void test_instances(void **state) {
    (void)state;
    assert_false(settings.instances_given);
    check_instances("{instances: 4}", 4, 0);
    check_instances("{instances: '4'}", 4, 0);
    check_instances("{instances: 4.0}", 4, 0);
    check_instances("{instances: 0}", 0, 0);
    check_instances("{instances: 'max'}", 0, 0);
    check_instances("{instances: -1}", 0, 1);
    check_instances("{instances: '-2'}", 0, 2);
    check_refused("{instances: 'many'}",
                  "instances takes a number, 0 or 'max' for one per CPU, or -K for K fewer, not "
                  "\"many\"");
    check_refused("{instances: 1.5}",
                  "instances takes a number, 0 or 'max' for one per CPU, or -K for K fewer, not "
                  "1.5");
    check_refused("{instances: 4097}",
                  "instances takes a number, 0 or 'max' for one per CPU, or -K for K fewer, not "
                  "4097");
}

static void test_modes(void **state) {
    (void)state;
    assert_false(settings.mode_given);
    apply("{exec_mode: 'fork'}");
    assert_true(settings.fork_mode && settings.mode_given);
    apply("{exec_mode: 'cluster'}");
    assert_false(settings.fork_mode);
    apply("{exec_mode: 'fork_mode'}");
    assert_true(settings.fork_mode);
    apply("{exec_mode: 'cluster_mode'}");
    assert_false(settings.fork_mode);
    check_refused("{exec_mode: 'thread'}", "exec_mode takes 'fork' or 'cluster', not \"thread\"");
    check_refused("{exec_mode: 1}", "exec_mode takes 'fork' or 'cluster', not 1");
}

static void test_every_way_to_get_clients(void **state) {
    char text[64];

    (void)state;
    for (int i = SETTINGS_INTERCEPT_AUTO; i <= SETTINGS_INTERCEPT_NONE; i++) {
        snprintf(text, sizeof text, "{intercept: '%s'}",
                 settings_intercept_name((enum settings_intercept)i));
        apply(text);
        assert_int_equal(settings.intercept, i);
    }
    check_refused("{intercept: 'magic'}", "intercept takes auto, node, node-fast, preload, "
                                          "seccomp, listen-fds, native or none, not \"magic\"");
}

static void test_the_signal_that_ends(void **state) {
    (void)state;
    apply("{}");
    assert_int_equal(settings.kill_signal, SIGINT);
    apply("{kill_signal: 'SIGTERM'}");
    assert_int_equal(settings.kill_signal, SIGTERM);
    apply("{killSignal: 3}");
    assert_int_equal(settings.kill_signal, SIGQUIT);
    check_refused("{kill_signal: 'SIGNONE'}", "kill_signal takes a signal's name such as SIGTERM, "
                                              "or its number, not \"SIGNONE\"");
    check_refused("{kill_signal: 0}", "kill_signal takes a signal's name such as SIGTERM, "
                                      "or its number, not 0");
}

static void test_times(void **state) {
    (void)state;
    apply("{min_uptime: 500, kill_timeout: '2s', listen_timeout: '1500', restart_delay: 0.6,"
          " drain_timeout: '1m', watch_delay: '1.5s', slow_after: '5ms', kill_stuck_after: 0,"
          " exp_backoff_restart_delay: '1h'}");
    assert_int_equal(settings.min_uptime_ms, 500);
    assert_int_equal(settings.kill_timeout_ms, 2000);
    assert_int_equal(settings.listen_timeout_ms, 1500);
    assert_int_equal(settings.restart_delay_ms, 1);
    assert_int_equal(settings.drain_timeout_ms, 60000);
    assert_int_equal(settings.watch_delay_ms, 1500);
    assert_int_equal(settings.slow_after_ms, 5);
    assert_int_equal(settings.kill_stuck_after_ms, 0);
    assert_int_equal(settings.backoff_ms, 3600000);
    check_refused("{listen_timeout: 0}", "listen_timeout takes a time above 0, not 0");
    check_refused("{slow_after: '0'}", "slow_after takes a time above 0, not \"0\"");
    check_refused("{min_uptime: -1}", "min_uptime takes a time such as 1500, \"1500ms\", "
                                      "\"1.5s\", \"2m\" or \"1h\", not -1");
    check_refused("{min_uptime: 1e300}", "min_uptime takes a time such as 1500, \"1500ms\", "
                                         "\"1.5s\", \"2m\" or \"1h\", not 1e300");
    check_refused("{min_uptime: true}", "min_uptime takes a time such as 1500, \"1500ms\", "
                                        "\"1.5s\", \"2m\" or \"1h\", not true");
}

static void test_sizes(void **state) {
    (void)state;
    apply("{max_memory_restart: '200M', max_log_size: 5000}");
    assert_int_equal(settings.max_memory, 200 * 1024 * 1024);
    assert_int_equal(settings.max_log_size, 5000);
    check_refused("{max_memory_restart: 'much'}",
                  "max_memory_restart takes a size such as 1048576 or \"200M\", not \"much\"");
}

static void test_counts_and_ports(void **state) {
    (void)state;
    apply("{max_restarts: 0, window: '1024', port: 3000, log_keep: 3}");
    assert_int_equal(settings.max_restarts, 0);
    assert_int_equal(settings.window, 1024);
    assert_int_equal(settings.port, 3000);
    assert_int_equal(settings.log_keep, 3);
    check_refused("{window: 0}", "window takes a number from 1 to 1024, not 0");
    check_refused("{window: 1025}", "window takes a number from 1 to 1024, not 1025");
    check_refused("{port: 65536}", "port takes a port from 0 to 65535, not 65536");
    check_refused("{max_restarts: -1}", "max_restarts takes a number of 0 or more, not -1");
}

static void test_words_and_lists(void **state) {
    (void)state;
    apply("{args: '--title \"two words\" -v', node_args: ['--inspect', 9229],"
          " depends_on: 'db', ignore_watch: ['node_modules', 'logs']}");
    check_list(&settings.args, "--title|two words|-v");
    check_list(&settings.interpreter_args, "--inspect|9229");
    check_list(&settings.depends_on, "db");
    check_list(&settings.ignore_watch, "node_modules|logs");
    apply("{args: [], ignore_watch: 'a b'}");
    assert_int_equal(settings.args.count, 0);
    check_list(&settings.ignore_watch, "a b");
    check_refused("{args: 'it\\'s'}",
                  "args takes a list of texts, or one text of several words, not \"it's\"");
    check_refused("{args: ['a', {}]}",
                  "args takes a list of texts, or one text of several words, not [\"a\",{}]");
    check_list(&settings.ignore_watch, "a b");
}

static void test_numbers_in_lists(void **state) {
    (void)state;
    apply("{stop_exit_codes: [0, '42'], private_ports: 9090}");
    assert_int_equal(settings.stop_code_count, 2);
    assert_int_equal(settings.stop_codes[1], 42);
    assert_int_equal(settings.private_port_count, 1);
    assert_int_equal(settings.private_ports[0], 9090);
    apply("{stop_exit_codes: '1, 2,3', private_ports: [1, 2]}");
    assert_int_equal(settings.stop_code_count, 3);
    assert_int_equal(settings.private_port_count, 2);
    apply("{stop_exit_codes: []}");
    assert_int_equal(settings.stop_code_count, 0);
    check_refused("{stop_exit_codes: [256]}",
                  "stop_exit_codes takes codes from 0 to 255, e.g. [0, 42], at most 16, not [256]");
    check_refused("{stop_exit_codes: ''}",
                  "stop_exit_codes takes codes from 0 to 255, e.g. [0, 42], at most 16, not \"\"");
    check_refused("{stop_exit_codes: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}",
                  "stop_exit_codes takes codes from 0 to 255, e.g. [0, 42], at most 16, not "
                  "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]");
    check_refused("{private_ports: [0]}",
                  "private_ports takes ports from 1 to 65535, at most 32, not [0]");
    assert_int_equal(settings.private_port_count, 2);
}

static void test_files_for_output(void **state) {
    (void)state;
    apply("{out_file: '/var/log/a', error_file: 'NULL', log_file: '/dev/null'}");
    assert_string_equal(settings.out_file, "/var/log/a");
    assert_string_equal(settings.error_file, SETTINGS_NO_FILE);
    assert_string_equal(settings.log_file, SETTINGS_NO_FILE);
    apply("{log_type: 'json'}");
    assert_true(settings.log_type_json);
    apply("{log_type: 'raw'}");
    assert_false(settings.log_type_json);
    check_refused("{log_type: 'xml'}", "log_type takes 'json' or 'raw', not \"xml\"");
}

static void test_watch(void **state) {
    (void)state;
    apply("{watch: true}");
    assert_true(settings.watch);
    assert_int_equal(settings.watch_paths.count, 0);
    apply("{watch: ['src', 'lib']}");
    assert_true(settings.watch);
    check_list(&settings.watch_paths, "src|lib");
    apply("{watch: 'false'}");
    assert_false(settings.watch);
    assert_int_equal(settings.watch_paths.count, 0);
    apply("{watch: 'src'}");
    assert_true(settings.watch);
    check_list(&settings.watch_paths, "src");
    apply("{watch: []}");
    assert_false(settings.watch);
    check_refused("{watch: {}}", "watch takes true, false, or paths: a list, or one text, not {}");
}

static void test_cron(void **state) {
    (void)state;
    apply("{cron_restart: '0 4 * * MON'}");
    assert_string_equal(settings.cron_restart, "0 4 * * MON");
    check_refused("{cron_restart: '0 25 * * *'}",
                  "cron_restart: the hour cannot be '25': it is 0 to 23, *, or a list, range or "
                  "step of these");
    check_refused(
        "{cron_restart: 5}",
        "cron_restart takes a cron expression such as \"0 4 * * *\", or 0 for none, not 5");
    apply("{cron_restart: 0}");
    assert_null(settings.cron_restart);
    apply("{cron_restart: '0 4 * * MON'}");
    assert_string_equal(settings.cron_restart, "0 4 * * MON");
}

static void test_variables(void **state) {
    (void)state;
    apply("{env: {A: 'x', B: 1, C: 1.5, D: true, E: {f: [1]}, F: null, G: 2.0, H: ''},"
          " environment: {PATH: '/bin', A: 'y'}}");
    check_list(&settings.env, "A=x|B=1|C=1.5|D=true|E={\"f\":[1]}|G=2|H=");
    check_list(&settings.environment, "PATH=/bin|A=y");
    assert_string_equal(text_list_variable(&settings.env, "A"), "x");
    assert_null(text_list_variable(&settings.env, "F"));
    assert_null(text_list_variable(&settings.env, ""));
    apply("{env: {A: 'z', I: 'i'}, environment: {HOME: '/'}}");
    check_list(&settings.env, "A=z|B=1|C=1.5|D=true|E={\"f\":[1]}|G=2|H=|I=i");
    check_list(&settings.environment, "HOME=/");
    check_refused("{env: ['A=1']}", "env takes an object of variables, not [\"A=1\"]");
    check_refused("{env: {'': 1}}", "env takes an object of variables, not {\"\":1}");
    check_refused("{env: {'A=B': 1}}", "env takes an object of variables, not {\"A=B\":1}");
}

static void test_filter_of_the_environment(void **state) {
    (void)state;
    apply("{filter_env: ['AWS_', 'SECRET']}");
    check_list(&settings.filter_env, "AWS_|SECRET");
    apply("{filter_env: 'X'}");
    check_list(&settings.filter_env, "X");
    apply("{filter_env: true}");
    assert_int_equal(settings.filter_env.count, 1);
    assert_string_equal(settings.filter_env.items[0], "");
    apply("{filter_env: false}");
    assert_int_equal(settings.filter_env.count, 0);
}

static void test_health(void **state) {
    (void)state;
    assert_null(settings.health.path);
    apply("{health: '/alive'}");
    assert_string_equal(settings.health.path, "/alive");
    apply("{health: {path: '/healthz', port: 3000, interval: '30s', timeout: 500, failures: 5}}");
    assert_string_equal(settings.health.path, "/healthz");
    assert_int_equal(settings.health.port, 3000);
    assert_int_equal(settings.health.interval_ms, 30000);
    assert_int_equal(settings.health.timeout_ms, 500);
    assert_int_equal(settings.health.failures, 5);
#define TAKES "health takes a path, or {path, port, interval, timeout, failures}, not "
    check_refused("{health: true}", TAKES "true");
    check_refused("{health: 'alive'}", TAKES "\"alive\"");
    check_refused("{health: {port: 1}}", TAKES "{\"port\":1}");
    check_refused("{health: {path: '/', every: 1}}", TAKES "{\"path\":\"/\",\"every\":1}");
    check_refused("{health: {path: '/', interval: 0}}", TAKES "{\"path\":\"/\",\"interval\":0}");
}

static void test_an_app_is_an_object(void **state) {
    (void)state;
    check_refused("[]", "an app is described by an object");
    check_refused("'app.js'", "an app is described by an object");
}

static void test_a_long_value_is_cut_in_the_sentence(void **state) {
    char text[2000] = "{window: '";

    (void)state;
    memset(text + strlen(text), 'x', 1500);
    strcpy(text + 1510, "'}");
    check_refused(text, "window takes a number from 1 to 1024, not \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...");
}

static void test_one_attribute_by_itself(void **state) {
    json_t *value = json_string("2s");

    (void)state;
    assert_int_equal(attribute_apply_one(&settings, "killTimeout", value, error), 0);
    assert_int_equal(settings.kill_timeout_ms, 2000);
    assert_int_equal(attribute_apply_one(&settings, "window", value, error), UV_EINVAL);
    assert_int_equal(attribute_apply_one(&settings, "windows", value, error), UV_ENOENT);
    json_decref(value);
}

/* ---- Names ---- */

static void test_other_names(void **state) {
    static const char *const names[][2] = {
        {"exec", "script"},
        {"cmd", "script"},
        {"command", "script"},
        {"node_args", "interpreter_args"},
        {"nodeArgs", "interpreter_args"},
        {"output", "out_file"},
        {"error", "error_file"},
        {"log", "log_file"},
        {"combine_logs", "merge_logs"},
        {"mergeLogs", "merge_logs"},
        {"maxMemoryRestart", "max_memory_restart"},
        {"cron", "cron_restart"},
        {"execMode", "exec_mode"},
        {"outFile", "out_file"},
        {"instanceVar", "instance_var"},
        {"expBackoffRestartDelay", "exp_backoff_restart_delay"},
        {"privatePorts", "private_ports"},
        {"dependsOn", "depends_on"},
        {"script", "script"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *name = attribute_canonical_name(names[i][0]);

        if (!name || strcmp(name, names[i][1]) != 0)
            fail_msg("%s is %s", names[i][0], name ? name : "unknown");
    }
    assert_null(attribute_canonical_name(""));
    assert_null(attribute_canonical_name("out err"));
    assert_null(attribute_canonical_name("env_production"));
    assert_null(attribute_canonical_name("a_very_long_name_that_is_longer_than_any_attribute_can_"
                                         "be_and_so_is_none_of_them"));
}

/* Under its camelCase name, too, each is found and is itself; none is there twice. */
static void test_every_attribute_has_one_name(void **state) {
    (void)state;
    for (size_t i = 0; attribute_table[i].name; i++) {
        const char *name = attribute_table[i].name;
        char camel[64];
        size_t length = 0;

        for (const char *at = name; *at; at++)
            camel[length++] = *at == '_' ? (char)toupper((unsigned char)*++at) : *at;
        camel[length] = '\0';
        assert_string_equal(attribute_canonical_name(name), name);
        assert_string_equal(attribute_canonical_name(camel), name);
        assert_true(attribute_table[i].expects && attribute_table[i].expects[0]);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(name, attribute_table[j].name);
    }
}

static void check_warning(const char *text, const char *sentence) {
    text_list_clear(&warnings);
    apply(text);
    assert_int_equal(warnings.count, 1);
    assert_string_equal(warnings.items[0], sentence);
}

static void test_unknown_ones_are_warned_of(void **state) {
    json_t *app = parse("{foo: 1}");

    (void)state;
    check_warning("{instnces: 4}", "there is no attribute 'instnces'; did you mean 'instances'?");
    check_warning("{maxMemoryRestat: 4}",
                  "there is no attribute 'maxMemoryRestat'; did you mean 'max_memory_restart'?");
    check_warning("{foo: 1}", "there is no attribute 'foo'; it is ignored");
    check_warning("{'\\u001b[2J': 1}", "there is no attribute '\\x1b[2J'; it is ignored");
    assert_int_equal(attribute_apply(&settings, app, NULL, error), 0);
    json_decref(app);
}

static void test_pm2s_own_are_ignored(void **state) {
    (void)state;
    apply("{pmx: true, vizion: false, automation: false, source_map_support: true,"
          " sourceMapSupport: 1, deep_monitoring: true, env_production: {A: 1}, deploy: {}}");
    assert_int_equal(warnings.count, 0);
    assert_int_equal(settings.env.count, 0);
}

/* ---- Normalising ---- */

static void check_equal(json_t *value, const char *expected) {
    json_t *other = parse(expected);
    char *text = json_dumps(value, JSON_ENCODE_ANY);

    if (!json_equal(value, other))
        fail_msg("%s instead of %s", text, expected);
    free(text);
    json_decref(other);
}

static void check_normal(const char *text, const char *expected) {
    json_t *app = parse(text);
    json_t *normalized = attribute_normalize(app, &warnings);

    check_equal(normalized, expected);
    json_decref(normalized);
    json_decref(app);
}

static void test_first_names_are_given(void **state) {
    (void)state;
    check_normal("{exec: 'a', nodeArgs: 'b', maxRestarts: 1, env_x: {}, deploy: {}, name: null}",
                 "{script: 'a', interpreter_args: 'b', max_restarts: 1, env_x: {}, deploy: {},"
                 " name: null}");
    assert_int_equal(warnings.count, 0);
    check_normal("{pmx: true, script: 1, scipt: 2}", "{script: 1}");
    assert_int_equal(warnings.count, 1);
    check_normal("{script: 1, cmd: 2}", "{script: 2}");
    assert_int_equal(warnings.count, 2);
    assert_string_equal(warnings.items[1],
                        "'cmd' is there under another name, too; this one counts");
}

static void check_merged(const char *text, const char *env_name, const char *expected) {
    json_t *app = parse(text);

    text_list_clear(&warnings);
    assert_int_equal(attribute_merge_env(app, env_name, &warnings), 0);
    check_equal(app, expected);
    json_decref(app);
}

static void test_environments_by_name(void **state) {
    static const char app[] = "{env: {A: 1, B: 1, C: 1}, env_production: {B: 2},"
                              " deploy: {production: {user: 'x', env: {C: 3, D: 3}}, test: {}}}";

    (void)state;
    check_merged(app, "production", "{env: {A: 1, B: 2, C: 1, D: 3}}");
    assert_int_equal(warnings.count, 0);
    check_merged(app, NULL, "{env: {A: 1, B: 1, C: 1}}");
    assert_int_equal(warnings.count, 0);
    check_merged(app, "test", "{env: {A: 1, B: 1, C: 1}}");
    assert_int_equal(warnings.count, 1);
    assert_string_equal(warnings.items[0], "the app has no env_test");
    check_merged("{name: 'a'}", "x", "{name: 'a', env: {}}");
    assert_string_equal(warnings.items[0], "the app 'a' has no env_x");
    check_merged("{env_x: {A: 1}}", "x", "{env: {A: 1}}");
    check_merged("{env_x: 5, env: 6}", "x", "{env: 6}");
    check_merged("{env_x: 5, deploy: 7}", "x", "{env: {}}");
    check_merged("{deploy: {x: {env: {A: 1}}}}", "x", "{env: {A: 1}}");
    assert_int_equal(warnings.count, 0);
}

static void test_the_environment_in_the_name(void **state) {
    (void)state;
    check_merged("{name: 'a', append_env_to_name: true, env_x: {}}", "x",
                 "{name: 'a-x', append_env_to_name: true, env: {}}");
    check_merged("{script: './b/c.js', append_env_to_name: 'true', env_x: {}}", "x",
                 "{script: './b/c.js', name: 'c-x', append_env_to_name: 'true', env: {}}");
    check_merged("{name: 'a', append_env_to_name: true}", NULL,
                 "{name: 'a', append_env_to_name: true}");
    check_merged("{name: 'a', append_env_to_name: false, env_x: {}}", "x",
                 "{name: 'a', append_env_to_name: false, env: {}}");
}

static void check_paths(const char *text, const char *directory, const char *expected) {
    json_t *app = parse(text);

    assert_int_equal(attribute_resolve_paths(app, directory), 0);
    check_equal(app, expected);
    json_decref(app);
}

static void test_paths_are_made_absolute(void **state) {
    (void)state;
    check_paths("{script: 'a'}", "/d", "{script: 'a', cwd: '/d'}");
    check_paths("{cwd: 'x'}", "/d", "{cwd: '/d/x'}");
    check_paths("{cwd: './x/'}", "/", "{cwd: '/x/'}");
    check_paths("{cwd: '.'}", "/d", "{cwd: '/d'}");
    check_paths("{cwd: './/'}", "/d", "{cwd: '/d'}");
    check_paths("{cwd: '../x'}", "/d", "{cwd: '/d/../x'}");
    check_paths("{cwd: '/x', out_file: 'o', error_file: '/e', log_file: 'NULL', pid_file: './p'}",
                "/d",
                "{cwd: '/x', out_file: '/x/o', error_file: '/e', log_file: 'NULL',"
                " pid_file: '/x/p'}");
    check_paths("{interpreter: 'node'}", "/d", "{cwd: '/d', interpreter: 'node'}");
    check_paths("{interpreter: 'bin/node', cwd: 'x'}", "/d",
                "{cwd: '/d/x', interpreter: '/d/bin/node'}");
    check_paths("{cwd: 5, out_file: 6}", "/d", "{cwd: '/d/5', out_file: '/d/5/6'}");
    check_paths("{cwd: [], out_file: 'o', log_file: {}, pid_file: ''}", "/d",
                "{cwd: [], out_file: '/d/o', log_file: {}, pid_file: ''}");
    check_paths("{cwd: '', interpreter: 5}", "/d", "{cwd: '/d', interpreter: 5}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(texts),
        TEST(what_was_said_last_counts),
        TEST(booleans),
        TEST(instances),
        TEST(modes),
        TEST(every_way_to_get_clients),
        TEST(the_signal_that_ends),
        TEST(times),
        TEST(sizes),
        TEST(counts_and_ports),
        TEST(words_and_lists),
        TEST(numbers_in_lists),
        TEST(files_for_output),
        TEST(watch),
        TEST(cron),
        TEST(variables),
        TEST(filter_of_the_environment),
        TEST(health),
        TEST(an_app_is_an_object),
        TEST(a_long_value_is_cut_in_the_sentence),
        TEST(one_attribute_by_itself),
        TEST(other_names),
        TEST(every_attribute_has_one_name),
        TEST(unknown_ones_are_warned_of),
        TEST(pm2s_own_are_ignored),
        TEST(first_names_are_given),
        TEST(environments_by_name),
        TEST(the_environment_in_the_name),
        TEST(paths_are_made_absolute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
