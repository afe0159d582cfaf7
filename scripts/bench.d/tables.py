# SPDX-License-Identifier: Apache-2.0
"""Rows as tables, for a terminal and for Markdown."""

import statistics
from dataclasses import dataclass

from rows import Row, differences, groups, ratios, reference_of

# Heading and field of what names a row within its table.
LABELS = (("", "config"), ("case", "case"), ("Services", "services"), ("backends", "backends"),
          ("nodes", "nodes"), ("tiers", "tiers"), ("flows", "flows"), ("Service", "heat"))
CONFIGS = ("noop", "direct", "direct-again", "empty-programs", "least-programs", "conntrack",
           "iptables", "nftables", "topolb")
UNITS = {"us": ("µs", 1), "ns": ("ns", 1), "ms": ("ms", 1), "s": ("s", 1), "bytes": ("MB", 1e6),
         "instructions": ("million", 1e6), "per-second": ("k/s", 1e3), "count": ("", 1)}


@dataclass
class Table:
    suite: str
    title: str
    headings: list[str]
    lines: list[list[str]]

    def text(self) -> str:
        widths = [max(len(line[i]) for line in (self.headings, *self.lines))
                  for i in range(len(self.headings))]
        lines = []
        for line in (self.headings, *self.lines):
            cells = [cell.rjust(width) if self._is_number(i) and i > 0 else cell.ljust(width)
                     for i, (cell, width) in enumerate(zip(line, widths))]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([f"{self.suite}: {self.title}", "", *lines])

    def markdown(self) -> str:
        rule = ["---"] + ["---:" if self._is_number(i) else "---"
                          for i in range(1, len(self.headings))]
        lines = [self.headings, rule, *self.lines]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _is_number(self, column: int) -> bool:
        return all(line[column][:1].isdigit() or line[column][:1] in ("", "-", "+")
                   for line in self.lines)


def number(value: float) -> str:
    """Three digits at least, and no more than it takes."""
    size = abs(value)
    if size >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.2f}"


def tables_of(rows: list[Row]) -> list[Table]:
    """One for each workload."""
    tables = []
    for (suite, workload, threads), members in groups(rows, "suite", "workload", "threads"):
        title = workload if threads is None else f"{workload}, {threads} threads"
        if any(row["config"] == "noop" for row in members):
            tables.append(table_above_nothing(suite, title, members))
        elif any(row["config"] == "direct" for row in members):
            tables.append(table_beside_direct(suite, title, members, rows))
        else:
            tables.append(table_of_figures(suite, title, members))
    return tables


def order_of(row: Row) -> tuple:
    """By who, then by case, heat and size: rows come as they were measured."""
    config = CONFIGS.index(row["config"]) if row["config"] in CONFIGS else len(CONFIGS)
    return (config, row["case"] or "", row["heat"] or "",
            *(row[key] or 0 for key in ("tiers", "services", "backends", "flows")))


def labels_of(members: list[Row]) -> list[tuple[str, str]]:
    return [(heading, key) for heading, key in LABELS
            if key == "config" or any(row[key] is not None for row in members)]


def label(row: Row, key: str) -> str:
    value = row[key]
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def subjects(members: list[Row]) -> list[list[Row]]:
    """The rows that differ in `stat` only."""
    return [found for _, found in groups(members, *(key for _, key in LABELS))]


def spread(samples: list[float], scale: float = 1) -> str:
    """The median, with the least and the most."""
    middle = number(statistics.median(samples) / scale)
    if len(samples) == 1:
        return middle
    return f"{middle} ({number(min(samples) / scale)}–{number(max(samples) / scale)})"


def table_beside_direct(suite: str, title: str, members: list[Row], rows: list[Row]) -> Table:
    labels = labels_of(members)
    stats = [(stat, found[0].unit) for (stat,), found in groups(members, "stat")]
    headings = [heading for heading, _ in labels]
    for stat, unit in stats:
        headings += [f"{stat} {UNITS[unit][0]}", "× direct"]
    lines = []
    for subject in subjects(sorted(members, key=order_of)):
        line = [label(subject[0], key) for _, key in labels]
        for row in subject:
            line.append(spread(row.samples, UNITS[row.unit][1]))
            reference = reference_of(rows, row)
            line.append(f"{statistics.median(ratios(row, reference)):.3f}" if reference else "")
        lines.append(line)
    return Table(suite, title, headings, lines)


def nothing_of(members: list[Row], row: Row) -> Row:
    """The program that does nothing: with the same packets or calls where there is one."""
    nothing = [other for other in members if other["config"] == "noop"]
    same = [other for other in nothing if other["case"] == row["case"]]
    exactly = [other for other in same if all(other[key] == row[key]
                                              for key in ("flows", "heat", "services"))]
    return (exactly or same or nothing)[0]


def above_nothing(members: list[Row], row: Row) -> list[float]:
    return differences(row, nothing_of(members, row))


def table_above_nothing(suite: str, title: str, members: list[Row]) -> Table:
    labels = labels_of(members)
    unit = UNITS[members[0].unit][0]
    headings = [*(heading for heading, _ in labels), unit, "above no-op"]
    lines = []
    for row in sorted(members, key=order_of):
        above = statistics.median(above_nothing(members, row))
        lines.append([*(label(row, key) for _, key in labels), spread(row.samples),
                      number(above) if row["config"] != "noop" else ""])
    return Table(suite, title, headings, lines)


def table_of_figures(suite: str, title: str, members: list[Row]) -> Table:
    labels = labels_of(members)
    stats = [(stat, found[0].unit) for (stat,), found in groups(members, "stat")]
    headings = [*(heading for heading, _ in labels),
                *(f"{stat} {UNITS[unit][0]}".strip() for stat, unit in stats)]
    lines = []
    for subject in subjects(members):
        by_stat = {row["stat"]: row for row in subject}
        line = [label(subject[0], key) for _, key in labels]
        for stat, unit in stats:
            row = by_stat.get(stat)
            line.append(spread(row.samples, UNITS[unit][1]) if row else "")
        lines.append(line)
    return Table(suite, title, headings, lines)
