# SPDX-License-Identifier: Apache-2.0
"""What was measured, in rows: tests/bench/README.md says what the fields mean."""

import statistics
from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator

# Those that name a row, in the order in which tables show them.
NAMES = ("suite", "workload", "case", "stat", "services", "backends", "tiers", "flows", "threads",
         "nodes", "endpoints", "heat", "config")
REFERENCE = "direct"
NOISE = "direct-again"
# The direct connection, with programs that do nothing at every hook of topolb.
FLOOR = "empty-programs"
# And with such that put a backend in place of a Service, without a look-up or a state.
LEAST = "least-programs"
# The stat of all operations of all rounds: one sample, where the others have one a round.
POOLED = "p99-pooled"


@dataclass
class Row:
    name: dict[str, Any]
    unit: str
    samples: list[float] = field(default_factory=list)

    @classmethod
    def from_json(cls, line: dict) -> "Row":
        name = {key: value for key, value in line.items() if key not in ("unit", "samples")}
        return cls(name, line["unit"], [float(sample) for sample in line["samples"]])

    def to_json(self) -> dict:
        return {**self.name, "unit": self.unit, "samples": self.samples}

    def __getitem__(self, key: str) -> Any:
        return self.name.get(key)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def matches(self, wanted: dict[str, Any]) -> bool:
        return all(self.name.get(key) == value for key, value in wanted.items())


def find(rows: Iterable[Row], **wanted: Any) -> Row | None:
    return next((row for row in rows if row.matches(wanted)), None)


def find_all(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    return [row for row in rows if row.matches(wanted)]


def reference_of(rows: list[Row], row: Row) -> Row | None:
    """The direct connection that a row is to be held against: of the same heat, to one of as many
    backends, with as many Services to choose among when a random one is dialled each time."""
    wanted = {key: row[key] for key in ("suite", "workload", "stat", "heat", "threads")}
    if row["heat"] == "random":
        wanted["services"] = row["services"]
    return (find(rows, config=REFERENCE, backends=row["backends"], **wanted)
            or find(rows, config=REFERENCE, **wanted))


def ratios(row: Row, reference: Row) -> list[float]:
    """Round by round, so that what slows a whole round down cancels out."""
    return [a / b for a, b in zip(row.samples, reference.samples)]


def differences(row: Row, reference: Row) -> list[float]:
    return [a - b for a, b in zip(row.samples, reference.samples)]


def groups(rows: Iterable[Row], *keys: str) -> Iterator[tuple[tuple, list[Row]]]:
    """Rows with the same values of `keys`, in the order in which the first of each came."""
    found: dict[tuple, list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    yield from found.items()
