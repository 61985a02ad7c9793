#!/usr/bin/python3
"""The tables of a run of the benchmark.

    bench/report.py FILE [--write docs/performance.md]

FILE is what bench/run.py --json wrote. With --write the tables replace those in the document,
between its two comments."""

import argparse
import json
import pathlib
import re
import statistics

MODES = ("short", "keep-alive")
MASTERS = ("floor", "floor-lazy", "floor-plain", "baton-c", "baton-plain", "baton-node",
           "baton-node-fast", "node", "pm2", "haproxy", "nginx")
DROP_IN = ("native", "native-1", "baton-plain", "haproxy", "nginx")
NODE = ("node", "node-shared", "baton-node", "baton-node-fast", "pm2")
ACCEPTING = "accept"  # how the names of such calls begin
BIND = "bind + listen"
BEGIN, END = "<!-- figures, by bench/report.py -->\n", "<!-- end of figures -->\n"


def median(result, name, mode, figure):
    return statistics.median(sample[figure] for sample in result["runs"][name][mode])


def quotient(result, mode, figure, name, base):
    """One system's figure against another's, None where one was not measured."""
    if name not in result["runs"] or base not in result["runs"]:
        return None
    return median(result, name, mode, figure) / median(result, base, mode, figure)


def cell(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def table(head, rows):
    """Markdown, aligned so that it reads well on a terminal too; nothing without rows."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]], *rows]
    text = ""
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [value.rjust(width) for value, width in zip(line[1:], widths[1:])]
        text += "| " + " | ".join(cells) + " |\n"
    return text + "\n"


def measured(result, names):
    return [name for name in names if name in result["runs"]]


def errors(result, name):
    return str(sum(sample["errors"] for mode in MODES for sample in result["runs"][name][mode]))


def milliseconds(result, name, mode, figure):
    return cell(median(result, name, mode, figure) / 1000)


def master_row(result, name):
    rss, pss = result["memory_kb"][name]
    return [
        result["titles"][name],
        cell(median(result, name, "short", "rate"), 0),
        cell(quotient(result, "short", "rate", name, "node")),
        cell(median(result, name, "short", "cost_us"), 1),
        cell(quotient(result, "short", "cost_us", name, "node")),
        cell(quotient(result, "short", "cost_us", name, "floor")),
        milliseconds(result, name, "short", "p50_us"),
        milliseconds(result, name, "short", "p99_us"),
        cell(median(result, name, "keep-alive", "rate"), 0),
        cell(median(result, name, "keep-alive", "cost_us"), 3),
        milliseconds(result, name, "keep-alive", "p50_us"),
        milliseconds(result, name, "keep-alive", "p99_us"),
        cell(rss / 1024, 1),
        cell(pss / 1024, 1),
        errors(result, name),
    ]


def masters(result):
    head = ["master", "conn/s", "× node", "master µs/conn", "× node", "× floor", "p50 ms", "p99 ms",
            "keep-alive req/s", "master µs/req", "p50 ms", "p99 ms", "RSS MB", "PSS MB", "errors"]
    return table(head, [master_row(result, name) for name in measured(result, MASTERS)])


def drop_in_row(result, name):
    return [
        result["titles"][name],
        cell(median(result, name, "short", "rate"), 0),
        cell(quotient(result, "short", "rate", name, "native")),
        cell(median(result, name, "short", "all_us"), 1),
        cell(quotient(result, "short", "all_us", name, "native")),
        cell(median(result, name, "short", "cost_us"), 1),
        cell(quotient(result, "short", "cost_us", name, "floor-plain")),
        milliseconds(result, name, "short", "p99_us"),
        cell(median(result, name, "keep-alive", "rate"), 0),
        cell(quotient(result, "keep-alive", "rate", name, "native")),
        cell(median(result, name, "keep-alive", "all_us")),
        cell(quotient(result, "keep-alive", "all_us", name, "native")),
        errors(result, name),
    ]


def drop_in(result):
    head = ["before the plain server", "conn/s", "× native", "all µs/conn", "× native",
            "master µs/conn", "× raw loop", "p99 ms", "keep-alive req/s", "× native",
            "all µs/req", "× native", "errors"]
    return table(head, [drop_in_row(result, name) for name in measured(result, DROP_IN)])


def node_row(result, name):
    row = [result["titles"][name]]
    for mode in MODES:
        row += [cell(median(result, name, mode, "rate"), 0),
                cell(quotient(result, mode, "rate", name, "node")),
                cell(quotient(result, mode, "rate", name, "node-shared")),
                cell(median(result, name, mode, "all_us"), 1),
                cell(quotient(result, mode, "all_us", name, "node"))]
    return row + [errors(result, name)]


def node(result):
    head = ["before Node's servers", "conn/s", "× node", "× shared", "all µs/conn", "× node",
            "keep-alive req/s", "× node", "× shared", "all µs/req", "× node", "errors"]
    return table(head, [node_row(result, name) for name in measured(result, NODE)])


def is_unrelated(name):
    return not name.startswith(ACCEPTING) and name != BIND


def call_ns(result, name):
    """(native, under Baton): medians, and of unrelated calls the least, for a few ns more or less
    show nowhere else."""
    typical = min if is_unrelated(name) else statistics.median
    return tuple(typical(result["calls"][where][name]) for where in ("native", "baton"))


def call_row(result, name):
    native, baton = call_ns(result, name)
    return [name, cell(native, 0), cell(baton, 0), cell(baton / native), f"{baton - native:+.0f}"]


def calls(result):
    head = ["call", "native ns", "under Baton ns", "× native", "difference ns"]
    names = result.get("calls", {}).get("native", {})
    return table(head, [call_row(result, name) for name in names])


def kills(result):
    rows = [[result["titles"][name], f"{statistics.median(values):.2f}", f"{max(values):.2f}",
             str(len(values))] for name, values in result["kills_ms"].items() if values]
    return table(["kill -9 to the replacement's start", "median ms", "max ms", "kills"], rows)


def scale_cost(result, name):
    """[median µs] for the numbers of workers, fewest first, where it was measured."""
    return [statistics.median(figures[name]["cost_us"])
            for figures in result["scale"].values() if name in figures]


def scale(result):
    names = [name for name in ("floor", "baton-c") if scale_cost(result, name)]
    rows = []
    for workers, figures in result["scale"].items():
        if not all(name in figures for name in names):
            continue  # a system that could not start so many has said so
        cost = [statistics.median(figures[name]["cost_us"]) for name in names]
        rows.append([workers, *(f"{value:.1f}" for value in cost), f"{cost[-1] / cost[0]:.2f}",
                     *(f"{figures[name]['rss_kb'] / 1024:.1f}" for name in names)])
    return table(["C workers", *(f"{name} µs/conn" for name in names), "× floor",
                  *(f"{name} RSS MB" for name in names)], rows if names else [])


def scale_growth(result, name):
    """Cost with the most workers against cost with the fewest."""
    costs = scale_cost(result, name)
    return costs[-1] / costs[0] if len(costs) > 1 else None


def master_targets(result):
    def of_baton(figure):
        values = [figure(name) for name in measured(result, ("baton-c", "baton-node"))]
        return max(values) if values else None

    def cost(name, base):
        return quotient(result, "short", "cost_us", name, base)

    deaths = result["kills_ms"].get("baton-c")
    return [
        ("master µs/conn, C workers, × floor", "≤", 1.15, cost("baton-c", "floor")),
        ("master µs/conn, Node workers, × node", "≤", 0.45, cost("baton-node", "node")),
        ("master µs/conn, Node workers, × pm2", "≤", 0.30, cost("baton-node", "pm2")),
        ("master µs per keep-alive request", "≤", 0.05,
         of_baton(lambda name: median(result, name, "keep-alive", "cost_us"))),
        ("master RSS, MB", "≤", 3.0, of_baton(lambda name: result["memory_kb"][name][0] / 1024)),
        ("kill -9 to the C replacement, ms", "≤", 2.0,
         statistics.median(deaths) if deaths else None),
        ("µs/conn with the most workers, × the fewest", "≤", 1.15, scale_growth(result, "baton-c")),
    ]


def drop_in_targets(result):
    def rate(mode, name, base):
        return quotient(result, mode, "rate", name, base)

    return [
        ("plain server, keep-alive req/s, × native", "≥", 0.97,
         rate("keep-alive", "baton-plain", "native")),
        ("plain server, conn/s, × native", "≥", 0.90, rate("short", "baton-plain", "native")),
        ("plain server, master µs/conn, × raw loop", "≤", 0.90,
         quotient(result, "short", "cost_us", "baton-plain", "floor-plain")),
        ("node-fast, conn/s, × node", "≥", 1.5, rate("short", "baton-node-fast", "node")),
        ("node-fast, conn/s, × shared handle", "≥", 0.90,
         rate("short", "baton-node-fast", "node-shared")),
    ]


def call_targets(result):
    names = result.get("calls", {}).get("native", {})
    if not names:
        return []
    accepts = [(f"{name}, × native", "≤", 1.2, call_ns(result, name)[1] / call_ns(result, name)[0])
               for name in names if name.startswith(ACCEPTING) and not name.endswith(" alone")]
    unrelated = [call_ns(result, name)[1] - call_ns(result, name)[0] for name in names
                 if is_unrelated(name)]
    return accepts + [
        ("bind + listen, ms", "≤", 1.0, call_ns(result, BIND)[1] / 1e6),
        ("an unrelated call, the most that was added, ns", "≤", 20.0, max(unrelated)),
    ]


def targets(result):
    rows = []
    for what, relation, limit, value in (master_targets(result) + drop_in_targets(result) +
                                         call_targets(result)):
        if value is not None:
            met = value <= limit if relation == "≤" else value >= limit
            rows.append([what, f"{relation} {limit:g}", f"{value:.3g}", "met" if met else "MISSED"])
    return table(["target", "limit", "measured", ""], rows)


def others(result):
    """How much of the processors other programs had while a figure was taken, the median."""
    return statistics.median(sample["others"] for modes in result["runs"].values()
                             for samples in modes.values() for sample in samples)


def text(result):
    settings = result["settings"]
    head = (f"Linux {result['machine']}; {settings['workers']} workers, {settings['connections']} "
            f"connections at a time; medians of {settings['rounds']} rounds of "
            f"{settings['seconds']:g} s;\nother programs used {others(result):.0%} of the processors "
            "meanwhile\n\n")
    return head + "".join(part(result) for part in (masters, drop_in, calls, node, kills, scale,
                                                    targets)).rstrip("\n")


def rewrite(path, figures, begin, end):
    document = path.read_text()
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    changed, count = re.subn(pattern, lambda _: f"{begin}\n{figures}\n\n{end}", document,
                             flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"{path}: no place for the figures")
    path.write_text(changed)


def main(description, text, begin, end):
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--write", type=pathlib.Path, metavar="DOCUMENT")
    chosen = parser.parse_args()
    figures = text(json.loads(chosen.file.read_text()))
    if chosen.write:
        rewrite(chosen.write, figures, begin, end)
    else:
        print(figures)


if __name__ == "__main__":
    main(__doc__, text, BEGIN, END)
