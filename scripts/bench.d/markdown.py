# SPDX-License-Identifier: Apache-2.0
"""Puts the tables of a run into a page, between lines that mark their places:

    <!-- bench: connect -->
    ...
    <!-- bench: end -->

A mark names a suite, "goals" or "machine".
"""

import re
from pathlib import Path

import goals
import machine
from rows import Row
from tables import tables_of

MARK = re.compile(r"(<!-- bench: ([a-z-]+) -->\n).*?(<!-- bench: end -->\n)", re.DOTALL)


def has_place(path: Path) -> bool:
    """Whether it is a page with a mark."""
    return path.is_file() and MARK.search(path.read_text(encoding="utf-8")) is not None


def update(path: Path, suites: dict[str, dict], rows: list[Row]) -> None:
    """What was not measured stays as it is."""
    parts: dict[str, list[str]] = {"machine": [f"{line}." for line in machine.lines(suites)],
                                   "goals": [goals.table_of_goals(rows).markdown()]}
    for table in tables_of(rows):
        parts.setdefault(table.suite, []).append(f"**{table.title}**\n\n{table.markdown()}")
    page = path.read_text(encoding="utf-8")

    def fill(found: re.Match) -> str:
        if found[2] not in parts:
            return found[0]
        return found[1] + "\n" + "\n\n".join(parts[found[2]]) + "\n\n" + found[3]

    path.write_text(MARK.sub(fill, page), encoding="utf-8")
