# SPDX-License-Identifier: Apache-2.0
"""What topolb is to reach, and what this run measured of it."""

import statistics
from dataclasses import dataclass
from typing import Any, Callable

from rows import FLOOR, LEAST, NOISE, POOLED, Row, differences, find, find_all, ratios, reference_of
from tables import Table, above_nothing, number

Measure = Callable[[list[Row]], float | None]


@dataclass(frozen=True)
class Goal:
    """`noise`: the same of the direct connection, measured twice; `floor` and `least`: of the direct
    connection with empty programs at every hook, and with the least ones."""

    suite: str
    what: str
    limit: float
    unit: str
    measure: Measure
    noise: Measure = lambda rows: None
    floor: Measure = lambda rows: None
    least: Measure = lambda rows: None

    def line(self, rows: list[Row]) -> list[str]:
        measured, noise = self.measure(rows), self.noise(rows)
        if measured is None:
            return [self.what, self.words(self.limit), "not measured", "", "", "", ""]
        beside = ["" if value is None else self.words(value)
                  for value in (noise, self.floor(rows), self.least(rows))]
        return [self.what, self.words(self.limit), self.words(measured), *beside,
                self.verdict(measured, noise)]

    def verdict(self, measured: float, noise: float | None) -> str:
        if measured <= self.limit:
            return "yes"
        off = 0 if noise is None else abs(noise - (1 if self.unit == "×" else 0))
        return "within noise" if measured <= self.limit + off else "no"

    def words(self, value: float) -> str:
        return f"{value:.3f} ×" if self.unit == "×" else f"{number(value)} {self.unit}"


def worst(values: list[float]) -> float | None:
    return max(values) if values else None


def topolb(rows: list[Row], **wanted: Any) -> list[Row]:
    return find_all(rows, config="topolb", **wanted)


def against_direct(workload: str, stat: str, config: str = "topolb") -> Measure:
    """The worst of all sizes, hot."""
    def measure(rows: list[Row]) -> float | None:
        found = find_all(rows, suite="connect", workload=workload, stat=stat, heat="hot",
                         threads=None, config=config)
        return worst([statistics.median(ratios(row, reference))
                      for row in found if (reference := reference_of(rows, row))])
    return measure


def against_nftables(rows: list[Row]) -> float | None:
    values = []
    wanted = {"suite": "connect", "workload": "tcp-connect", "stat": "p50", "heat": "hot",
              "threads": None}
    for row in topolb(rows, tiers=None, **wanted):
        rival = find(rows, config="nftables", services=row["services"], backends=row["backends"],
                     **wanted)
        if rival:
            values.append(statistics.median(ratios(row, rival)))
    return worst(values)


def added(workload: str, config: str = "topolb") -> Measure:
    def measure(rows: list[Row]) -> float | None:
        found = find_all(rows, suite="connect", workload=workload, stat="p50", heat="hot",
                         config=config)
        return worst([statistics.median(differences(row, reference))
                      for row in found if (reference := reference_of(rows, row))])
    return measure


def above_no_op(suite: str, workload: str, **wanted: Any) -> Measure:
    def measure(rows: list[Row]) -> float | None:
        members = find_all(rows, suite=suite, workload=workload)
        found = topolb(members, **wanted)
        if not find(members, config="noop"):
            return None
        return worst([statistics.median(above_nothing(members, row)) for row in found])
    return measure


def control(workload: str, stat: str, scale: float, **wanted: Any) -> Measure:
    def measure(rows: list[Row]) -> float | None:
        found = topolb(rows, suite="control", workload=workload, stat=stat, **wanted)
        return worst([row.median / scale for row in found])
    return measure


def flatness(key: str, largest: int) -> Measure:
    """The most of `key` against one, each held against its direct connection: to dial many addresses
    costs more than one, without any Service."""
    def measure(rows: list[Row]) -> float | None:
        wanted = {"suite": "connect", "workload": "tcp-connect", "stat": "p50", "heat": "hot",
                  "threads": None, "tiers": None, "config": "topolb"}
        wanted["backends" if key == "services" else "services"] = 10 if key == "services" else 1
        one, many = (find(rows, **{**wanted, key: count}) for count in (1, largest))
        if not one or not many:
            return None
        many_ratios, one_ratios = (ratios(row, reference_of(rows, row)) for row in (many, one))
        return statistics.median(b / a for a, b in zip(one_ratios, many_ratios))
    return measure


def beside_direct(what: str, limit: float, workload: str, stat: str) -> Goal:
    return Goal("connect", what, limit, "×", against_direct(workload, stat),
                *(against_direct(workload, stat, config) for config in (NOISE, FLOOR, LEAST)))


SMALL = {"services": 10_000, "backends": 10}
LARGE = {"services": 5006}

GOALS = (
    beside_direct("connect() p50, hot, all sizes", 1.04, "tcp-connect", "p50"),
    Goal("connect", "the same against nftables", 0.82, "×",
         against_nftables),
    beside_direct("connect() p99, hot, all sizes, median of rounds", 1.05, "tcp-connect", "p99"),
    beside_direct("the same, all rounds' connections together", 1.05, "tcp-connect", POOLED),
    Goal("hooks", "BPF time of connect4: no Service", 45, "ns",
         above_no_op("hooks", "bpf-connect4", case="tcp-no-service")),
    Goal("hooks", "BPF time of connect4: hot", 300, "ns",
         above_no_op("hooks", "bpf-connect4", case="tcp", heat="hot")),
    Goal("hooks", "BPF time of connect4: random of 100,000", 900, "ns",
         above_no_op("hooks", "bpf-connect4", case="tcp", heat="random", services=100_000)),
    Goal("connect", "connect + 1 byte + close, added to direct", 0.35, "µs",
         *(added("tcp-connect-close", config) for config in ("topolb", NOISE, FLOOR, LEAST))),
    beside_direct("established ping-pong", 1, "tcp-ping-pong", "p50"),
    beside_direct("UDP send on an unconnected socket", 1.15, "udp-send", "p50"),
    Goal("packets", "TC: no Service", 15, "ns",
         above_no_op("packets", "tc-no-service")),
    Goal("packets", "TC: established, 1 flow", 90, "ns",
         above_no_op("packets", "tc-established", flows=1)),
    Goal("packets", "TC: established, 10,000 flows", 250, "ns",
         above_no_op("packets", "tc-established", flows=10_000)),
    Goal("packets", "TC: new flow, hot", 600, "ns",
         above_no_op("packets", "tc-new-flow", heat="hot")),
    Goal("control", "cold start, 10,000 × 10, CPU", 0.6, "s",
         control("cold-start", "cpu", 1e3, case="streamed", **SMALL)),
    Goal("control", "cold start, 250,300 endpoints, CPU", 1.5, "s",
         control("cold-start", "cpu", 1e3, case="streamed", **LARGE)),
    Goal("control", "one endpoint change, CPU", 0.3, "ms",
         control("endpoint-change", "cpu", 1)),
    Goal("control", "one endpoint change, event to kernel p99", 3, "ms",
         control("endpoint-change", "p99", 1e3)),
    Goal("control", "own node relabelled, 10,000 Services with keys, CPU", 150, "ms",
         control("own-node-label", "cpu", 1, **SMALL)),
    Goal("control", "RSS at 100,000 endpoints", 50, "MB",
         control("cold-start", "rss", 1e6, case="streamed", **SMALL)),
    Goal("control", "RSS at 250,300 endpoints", 110, "MB",
         control("cold-start", "rss", 1e6, case="streamed", **LARGE)),
    Goal("control", "map memory at 10,000 × 10", 6, "MB",
         control("cold-start", "map-bytes", 1e6, case="streamed", **SMALL)),
    Goal("connect", "100,000 Services against 1, hot", 1.05, "×",
         flatness("services", 100_000)),
    Goal("connect", "5,000 backends against 1", 1.05, "×",
         flatness("backends", 5000)),
)


def table_of_goals(rows: list[Row]) -> Table:
    """Of the suites that ran."""
    suites = {row["suite"] for row in rows}
    return Table("goals", "Goals", ["what", "at most", "measured", NOISE, FLOOR, LEAST, "reached"],
                 [goal.line(rows) for goal in GOALS if goal.suite in suites])

