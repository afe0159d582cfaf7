# SPDX-License-Identifier: Apache-2.0
"""Which plots there are."""

from pathlib import Path
from typing import Any, Callable

from plot import Plot, Point, Series, draw
from rows import Row, find, find_all, groups
from tables import above_nothing

CONNECT = {"suite": "connect", "workload": "tcp-connect", "stat": "p50", "threads": None}
CONFIGS = ("iptables", "nftables", "topolb")


def point(x: float, row: Row, scale: float = 1) -> Point:
    least = min(sample for sample in row.samples if sample > 0)
    return Point(x, row.median / scale, least / scale, max(row.samples) / scale)


def series(name: str, rows: list[Row], key: Callable[[Row], float], scale: float = 1) -> Series:
    """Without what took too little to be measured: a logarithm has no place for nothing."""
    return Series(name, sorted((point(key(row), row, scale) for row in rows if row.median > 0),
                               key=lambda p: p.x))


def flat_direct(rows: list[Row], xs: list[float], **wanted: Any) -> list[Series]:
    direct = find(rows, config="direct", heat="hot", **wanted)
    return [Series("direct", [point(x, direct) for x in xs])] if direct and xs else []


def connect_plot(rows: list[Row], name: str, title: str, x_label: str, key: str,
                 **wanted: Any) -> Plot:
    lines = [series(config, found, lambda row: row[key]) for config in CONFIGS
             if (found := [row for row in find_all(rows, config=config, **CONNECT, **wanted)
                           if row[key] is not None])]
    if wanted["heat"] == "random":
        direct = find_all(rows, config="direct", **CONNECT, heat="random")
        lines += [series("direct", direct, lambda row: row[key])] if direct else []
    else:
        lines += flat_direct(rows, xs_of(lines), **CONNECT)
    return Plot(name, title, x_label, "µs, median of rounds (bar: least to most)", lines)


def xs_of(lines: list[Series]) -> list[float]:
    return sorted({point.x for one in lines for point in one.points})


def node_port_plot(rows: list[Row]) -> Plot:
    wanted = {**CONNECT, "suite": "node-port"}
    lines = [series(f"{config} {case}", found, lambda row: row["services"])
             for config in CONFIGS for case in ("local", "remote")
             if (found := find_all(rows, config=config, case=case, **wanted))]
    return Plot("node-port-services", "connect() from outside to the same NodePort", "Services",
                "µs, median of rounds (bar: least to most)",
                lines + flat_direct(rows, xs_of(lines), **wanted))


def above_no_op_plot(rows: list[Row], name: str, title: str, x_label: str, key: str, series_key: str,
                     **wanted: Any) -> Plot:
    members = find_all(rows, **wanted)
    # A logarithm has no place for a difference that noise has made negative.
    topolb = [Row(row.name, row.unit, [max(sample, 1) for sample in above_nothing(members, row)])
              for row in find_all(members, config="topolb")]
    lines = [series(value, found, lambda row: row[key])
             for (value,), found in groups(topolb, series_key)]
    return Plot(name, title, x_label,
                "ns above a program that does nothing, median of rounds (bar: least to most)",
                [one for one in lines if len(one.points) > 1])


def control_plot(rows: list[Row], name: str, title: str, y_label: str, scale: float,
                 workload: str, stat: str) -> Plot:
    lines = []
    for (config, case), members in groups(find_all(rows, suite="control", workload=workload, stat=stat),
                                          "config", "case"):
        label = case if config == "topolb" else f"{case} {config}"
        lines.append(series(label, members, lambda row: row["services"] * row["backends"], scale))
    return Plot(name, title, "endpoints", y_label, [one for one in lines if len(one.points) > 1])


def plots_of(rows: list[Row]) -> list[Plot]:
    plots = [
        connect_plot(rows, "connect-services", "connect() to the same Service", "Services",
                     "services", heat="hot", backends=10, tiers=None),
        connect_plot(rows, "connect-random", "connect() to a random Service each time", "Services",
                     "services", heat="random", backends=10),
        connect_plot(rows, "connect-backends", "connect() to one Service", "backends of the Service",
                     "backends", heat="hot", services=1, tiers=None),
        connect_plot(rows, "connect-tiers", "connect() when only the last tier has a backend",
                     "tiers", "tiers", heat="hot", services=1, backends=10),
        above_no_op_plot([row for row in rows if row["backends"] in (None, 10)
                          and row["tiers"] in (None, 1)],
                         "hooks-services", "The program at connect()", "Services", "services", "heat",
                         suite="hooks", workload="bpf-connect4", case="tcp"),
        node_port_plot(rows),
        above_no_op_plot(rows, "packets-flows", "A packet of an established flow at TC", "flows",
                         "flows", "case", suite="packets", workload="tc-established"),
        control_plot(rows, "cold-start", "From the first byte to the last map write",
                     "CPU seconds", 1e3, "cold-start", "cpu"),
        control_plot(rows, "memory", "Memory of the agent", "MB resident", 1e6, "cold-start", "rss"),
        control_plot(rows, "endpoint-change", "One endpoint changes", "CPU ms", 1,
                     "endpoint-change", "cpu"),
    ]
    return [plot for plot in plots if any(len(one.points) > 1 for one in plot.series)]


def write_plots(rows: list[Row], directory: Path) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for plot in plots_of(rows):
        path = directory / f"{plot.name}.svg"
        path.write_text(draw(plot), encoding="utf-8")
        paths.append(path)
    return paths
