# SPDX-License-Identifier: Apache-2.0
"""The benchmarks that are programs of their own: tests/bench/README.md."""

import json
import subprocess
from pathlib import Path

from place import Failed
from rows import Row

# Suite, and the program that prints its rows.
PROGRAMS = {"hooks": "hook_bench", "packets": "tc_bench", "control": "control_bench"}


def run(directory: Path, suite: str, quick: bool, rounds: int | None) -> tuple[dict, list[Row]]:
    """How it was run, and its rows."""
    command = [str(directory / PROGRAMS[suite]), "--json"]
    if quick:
        command.append("--quick")
    if rounds is not None:
        command += ["--rounds", str(rounds)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        words = (result.stderr.strip().splitlines() or ["no word"])[-1]
        raise Failed(f"{PROGRAMS[suite]}: exit {result.returncode}: {words}")
    how: dict = {}
    rows = []
    for text in result.stdout.splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError as error:
            raise Failed(f"{PROGRAMS[suite]} prints what is no row: {text[:80]}") from error
        if "run" in line:
            how = line["run"]
        else:
            rows.append(Row.from_json(line))
    if not rows:
        raise Failed(f"{PROGRAMS[suite]} printed no row")
    return how, rows
