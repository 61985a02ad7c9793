"""Where Baton differs from pm2 on purpose. Each is really looked for: one that is not there any
more makes its scenario fail."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Difference:
    scenario: str  # its name in scenarios.py
    name: str      # the end of what is seen there
    pm2: object
    baton: object
    reason: str

    def covers(self, name):
        return name.endswith(self.name)


def scaled(*numbers):
    return [(number, "a", "default", "online", "cluster_mode", "restarts 0") for number in numbers]


def attributed(first_ids, late_id, late):
    return sorted([*((number, "a", "space", "online", "cluster_mode", "restarts 0")
                     for number in first_ids),
                   (late_id, "late", "default", late, "fork_mode", "restarts 0")])


def reloaded(*restarts):
    places = [(0, "a", "one", "online", "fork_mode"), (1, "b", "two", "online", "fork_mode"),
              (2, "ab", "two", "online", "cluster_mode"),
              (3, "ab", "two", "online", "cluster_mode")]
    return [(*place, f"restarts {count}") for place, count in zip(places, restarts)]


INTENDED = [
    Difference("better_reload_under_load", "lost some", True, False,
               "out of rotation first, drained, then stopped"),
    Difference("better_reload_to_a_broken_version", "02 reload web: code", 0, 1,
               "whoever deploys has to know"),
    Difference("better_reload_to_a_broken_version", "shows why", False, True,
               "the last lines of output say what is wrong"),
    Difference("better_reload_to_a_broken_version", "serves", False, True,
               "the old workers stay"),
    Difference("better_when_the_daemon_is_killed", "the request", "reset", "ok",
               "workers survive the daemon"),
    Difference("better_when_the_daemon_is_killed", "workers that live", 0, 2,
               "workers survive the daemon"),
    Difference("better_when_the_daemon_is_killed", "02 ls: list", [],
               [(0, "web", "default", "online", "cluster_mode", "restarts 0"),
                (1, "web", "default", "online", "cluster_mode", "restarts 0")],
               "the list is saved on each change"),
    Difference("better_memory", "the daemon has less than 10 MB", False, True, "in C"),
    Difference("better_crash_loop_that_begins_late", "given up after 8 s", False, True,
               "restarts are counted in a window that slides"),
    Difference("better_not_ready_in_time", "status", "online", "errored",
               "what is not ready gets no clients"),
    Difference("better_not_ready_in_time", ": code", 0, 1, "and whoever has started it is told"),
    Difference("better_cluster_mode_for_other_programs", "several answer", False, True,
               "the master deals the connections, whatever the program is"),
    Difference("better_scale_down", "requests", ["ok", "reset"], ["ok", "ok"], "scaling drains"),
    Difference("better_scale_down", "02 scale web 1: list",
               [(1, "web", "default", "online", "cluster_mode", "restarts 0")],
               [(0, "web", "default", "online", "cluster_mode", "restarts 0")],
               "the highest slots go, so that numbers stay without gaps; pm2 ends the oldest"),
    Difference("better_stop", "request", "reset", "ok", "stopping drains"),
    Difference("better_watch", "request", "reset", "ok", "watching reloads"),
    Difference("better_restart_of_two", "lost some", True, False,
               "one after the other, and drained"),
    Difference("better_logs_that_do_not_fill_the_disk", "above the limit", True, False,
               "logs are rotated"),
    Difference("better_children", "left behind", 1, 0, "a worker's whole session ends with it"),
    Difference("better_environment", "after it was taken out", "old", None,
               "a process file is exactly what runs"),
    Difference("better_memory_limit", "restarts after 5 s", 0, 1,
               "memory is looked at every second"),
    Difference("environment_of_whoever_started_the_daemon", "cluster", "hello", None,
               "an app has the variables of who starts it, not those of who started the daemon"),
    Difference("attributes_of_a_process_file", "01 start apps.json: list",
               attributed((0, 2), 1, "stopped"), attributed((0, 1), 2, "stopped"),
               "numbers in the order of the file; pm2 starts two apps at a time"),
    Difference("attributes_of_a_process_file", "02 start late: list",
               attributed((0, 2), 1, "stopped"), attributed((0, 1), 2, "online"),
               "it was asked for"),
    Difference("act_by_id_name_namespace_and_pattern", "20 reload 0 b: list",
               reloaded(6, 5, 4, 4), reloaded(6, 6, 4, 4),
               "pm2's reload heeds its first target only"),
    Difference("act_by_id_name_namespace_and_pattern", "21 reload all: list",
               reloaded(7, 6, 5, 5), reloaded(7, 7, 5, 5), "the same"),
    Difference("act_by_id_name_namespace_and_pattern", "22 delete /^ab/: list",
               reloaded(7, 6), reloaded(7, 7), "the same"),
    Difference("crash_for_good", "type of created_at", "NoneType", "int",
               "when it was created is known, whatever became of it"),
    Difference("waiting_before_a_restart", "03 stop all: list",
               [(0, "a", "default", "stopped", "fork_mode", "restarts 0"),
                (1, "b", "default", "stopped", "fork_mode", "restarts 0")],
               [(0, "a", "default", "stopped", "fork_mode", "restarts 1"),
                (1, "b", "default", "stopped", "fork_mode", "restarts 2")],
               "a restart counts when it is decided, not when its delay is over; and the "
               "exponential delay begins with the second early end, the first is made up for at "
               "once"),
    Difference("jlist_and_prettylist", "jlist ends its line", False, True,
               "a line of text ends with a newline"),
    Difference("stop_with_a_message", "signal", False, True,
               "who does not heed the message is asked by SIGINT, too, before SIGKILL"),
    Difference("names_of_log_files", "of a second process in fork mode",
               "HOME/logs/a-out.log", "HOME/logs/a-out-12.log",
               "processes that did not ask for --merge-logs do not share a file"),
    Difference("scale", "04 scale a 1: list", scaled(3), scaled(0),
               "the highest slots go, so that numbers stay without gaps; pm2 ends the oldest"),
    Difference("scale", "05 scale a +2: list", scaled(3, 4, 5), scaled(0, 4, 5), "the same"),
    Difference("scale", "06 scale a -1: code", 1, 0, "pm2 takes it for an option"),
    Difference("scale", "06 scale a -1: list", scaled(3, 4, 5), scaled(0, 4), "the same"),
    Difference("scale", "07 scale a 0: code", 0, 1, "a slip must not take a site down"),
    Difference("scale", "07 scale a 0: list", [], scaled(0, 4), "the same"),
    Difference("scale", "08 scale a x: list", [], scaled(0, 4), "the same"),
    Difference("log_formats", "home: files",
               [f"logs/{name}-{kind}.log" for name in "abcdfg" for kind in ("error", "out")],
               [f"logs/{name}-{kind}.log" for name in "abcfg" for kind in ("error", "out")],
               "who wants no logs gets no files, not even empty ones"),
    Difference("save_and_resurrect", "saved: files", ["dump.pm2"], ["dump.json"],
               "another format: PM2's own dump is left alone"),
    Difference("save_and_resurrect", "saved again: files", ["dump.pm2", "dump.pm2.bak"],
               ["dump.json", "dump.json.bak"], "another format: PM2's own dump is left alone"),
    Difference("serve_files", "--name files: list",
               [(0, "files", "default", "online", "fork_mode", "restarts 0")],
               [(0, "files", "default", "online", "cluster_mode", "restarts 0")],
               "it can be reloaded and scaled without a lost client"),
    Difference("start_a_program_without_an_extension", "runs", "an error", "binary",
               "pm2 gives it to node; its first line says what runs it"),
    Difference("start_a_program_without_an_extension", "interpreter", "node", "none",
               "it is run as it is"),
    Difference("unknown_targets", "reset 7: code", 0, 1,
               "it prints an error, and whoever asks has to know"),
    Difference("unknown_targets", "22 reset all: code", 0, 1, "as with every other command"),
    Difference("version_and_help", "06 help: code", 1, 0, "help that was asked for is no error"),
    Difference("logs_of_a_fork", "logs nope --nostream: code", 0, 1,
               "there is no such app, and nothing was shown"),
    Difference("describe_and_env", "env a: code", 1, 0, "a name is as good as a number"),
    Difference("other_commands", "04 init: code", 0, 1, "pm2 overwrites the file that is there"),
    Difference("process_file_environments", "04 start apps.json --only nope: code", 0, 1,
               "nothing was started"),
]
