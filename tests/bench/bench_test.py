#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/bench --quick comes to its end, produces every row, and leaves nothing behind. How long
anything took is not looked at. Arguments: the build directory."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "scripts" / "bench"
BUILD = Path(sys.argv.pop(1) if len(sys.argv) > 1 else ROOT / "build")
sys.path.insert(0, str(ROOT / "scripts" / "bench.d"))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from place import BPFFS, PREFIX, cgroup2, remove_dead_runs
from rows import POOLED

DIRECT = ("direct", "direct-again", "conntrack")
BALANCED = ("nftables", "iptables", "topolb")
SOCKET_WORKLOADS = ("tcp-connect", "tcp-connect-close", "tcp-request", "tcp-ping-pong", "tcp-bulk",
                    "udp-send", "udp-request", "udp-request-new")
NODE_PORT_WORKLOADS = ("tcp-connect", "tcp-request", "tcp-ping-pong", "tcp-bulk", "udp-request",
                       "udp-request-new")
PAGE = """before
<!-- bench: goals -->
<!-- bench: end -->
between
<!-- bench: connect -->
old
<!-- bench: end -->
<!-- bench: nothing of this name -->
kept
"""


def expected_rows():
    """Fields that at least one row must have."""
    for stat in "p50", "p99", "p99-pooled":
        for workload in SOCKET_WORKLOADS:
            row = {"suite": "connect", "workload": workload, "stat": stat, "heat": "hot"}
            for config in (*DIRECT, "empty-programs", "least-programs"):
                yield {**row, "config": config}
            for config in BALANCED:
                for services in 1, 1000:
                    yield {**row, "config": config, "services": services, "backends": 10}
        row = {"suite": "connect", "workload": "tcp-connect", "stat": stat}
        for config in ("direct", "direct-again", *BALANCED):
            for workload in "tcp-connect", "tcp-request", "udp-send", "udp-request":
                yield {**row, "workload": workload, "config": config, "services": 1000,
                       "heat": "random"}
        for config in BALANCED:
            for backends in 1, 100:
                yield {**row, "config": config, "services": 1, "backends": backends, "heat": "hot"}
        for tiers in 1, 4, 16:
            yield {**row, "config": "topolb", "tiers": tiers, "heat": "hot"}
    for stat in "rate", "cpu":
        for config in (*DIRECT, *BALANCED):
            for workload in "tcp-connect", "udp-send":
                yield {"suite": "connect", "workload": workload, "stat": stat, "config": config,
                       "threads": 8}
    for workload in NODE_PORT_WORKLOADS:
        row = {"suite": "node-port", "workload": workload, "stat": "p50"}
        for config in DIRECT:
            yield {**row, "config": config}
        for config in BALANCED:
            for case in "local", "remote":
                yield {**row, "config": config, "case": case, "services": 1000}
    for config in "noop", "topolb":
        yield {"suite": "hooks", "workload": "bpf-connect4", "config": config}
        yield {"suite": "hooks", "workload": "bpf-sendmsg4", "config": config}
        for case in "ingress", "egress":
            yield {"suite": "packets", "workload": "tc-no-service", "config": config, "case": case}
        for flows in 1, 10_000:
            yield {"suite": "packets", "workload": "tc-established", "config": config, "flows": flows}
        for heat in "hot", "random":
            yield {"suite": "packets", "workload": "tc-new-flow", "config": config, "heat": heat}
    for heat in "hot", "random":
        yield {"suite": "hooks", "workload": "bpf-connect4", "config": "topolb",
               "case": "tcp-grown", "heat": heat}
    for workload in ("cold-start", "endpoint-change", "own-node-label", "zone-drained",
                     "rolling-restart"):
        for stat in "cpu", "wall":
            yield {"suite": "control", "workload": workload, "stat": stat, "config": "topolb"}
    for stat in "rss", "peak-rss", "map-bytes", "api-bytes":
        yield {"suite": "control", "workload": "cold-start", "stat": stat, "config": "topolb"}


def leftovers():
    """Of runs, except those whose process is still there: another one may be under way."""
    found = [path for parent in (Path(tempfile.gettempdir()), cgroup2(), BPFFS)
             for path in parent.glob(f"{PREFIX}*")]
    return [path for path in found if not Path("/proc", path.name.removeprefix(PREFIX)).exists()]


ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "KUBE_PROXY"}


def bench(*arguments):
    return subprocess.run([BENCH, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, env=ENVIRONMENT)


def end_in_the_middle(signal_number):
    """The name of a run that was ended while agents and clients ran."""
    with subprocess.Popen([BENCH, "--quick", "--only", "connect", "--build", str(BUILD)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        for line in process.stderr:
            if "round 0" in line:
                process.send_signal(signal_number)
                break
        else:
            raise AssertionError("it has ended by itself")
    return f"{PREFIX}{process.pid}"


def traces(name):
    return [path for parent in (Path(tempfile.gettempdir()), cgroup2(), BPFFS)
            if (path := parent / name).exists()]


class BenchTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.directory = Path(directory.name)
        (cls.directory / "page.md").write_text(PAGE, encoding="utf-8")
        cls.result = bench("--quick", "--build", str(BUILD),
                           "--json", str(cls.directory / "rows.json"),
                           "--svg", str(cls.directory / "plots"),
                           "--markdown", str(cls.directory / "page.md"))
        assert cls.result.returncode == 0, cls.result.stderr[-3000:]
        cls.suites = json.loads((cls.directory / "rows.json").read_text(encoding="utf-8"))["suites"]
        cls.rows = [row for run in cls.suites.values() for row in run["rows"]]

    def test_every_row_is_there(self):
        missing = [wanted for wanted in expected_rows()
                   if not any(wanted.items() <= row.items() for row in self.rows)]
        self.assertEqual(missing, [])

    def test_no_two_rows_have_one_name(self):
        names = [json.dumps({key: row[key] for key in sorted(row) if key not in ("samples", "unit")})
                 for row in self.rows]
        self.assertEqual(sorted(set(names)), sorted(names))

    def test_every_round_has_a_sample(self):
        for suite, run in self.suites.items():
            for row in run["rows"]:
                with self.subTest(row=row):
                    self.assertEqual(row["suite"], suite)
                    self.assertEqual(len(row["samples"]),
                                     1 if row["stat"] == POOLED else run["run"]["rounds"])

    def test_it_says_how_it_was_run(self):
        for run in self.suites.values():
            self.assertIn("--quick", run["command"])
            for key in "kernel", "cpu", "cpus", "memory", "load", "date", "versions":
                self.assertTrue(run["machine"][key], key)
            for key in "topolb", "nft", "iptables":
                self.assertNotIn(run["machine"]["versions"][key], ("", "unknown"), key)

    def test_tables(self):
        for words in "connect: tcp-connect", "control: cold-start", "Goals", "direct-again":
            self.assertIn(words, self.result.stdout)

    def test_plots(self):
        for name in "connect-services", "connect-random", "connect-backends", "connect-tiers", \
                "node-port-services":
            tree = xml.etree.ElementTree.parse(self.directory / "plots" / f"{name}.svg")
            lines = tree.findall(".//{http://www.w3.org/2000/svg}polyline")
            self.assertGreaterEqual(len(lines), 2, name)

    def test_markdown(self):
        page = (self.directory / "page.md").read_text(encoding="utf-8")
        self.assertIn("| connect() p50, hot, all sizes | 1.040 × |", page)
        self.assertIn("\nbetween\n", page)
        self.assertIn("\nkept\n", page)
        self.assertNotIn("\nold\n", page)

    def test_saved_rows_give_the_same_tables(self):
        again = bench("--from", str(self.directory / "rows.json"))
        self.assertEqual((again.returncode, again.stderr), (0, ""))
        self.assertEqual(again.stdout, self.result.stdout)

    def test_nothing_is_left(self):
        self.assertEqual(leftovers(), [])


class InterruptedTest(unittest.TestCase):
    def test_a_run_that_is_ended_cleans_up(self):
        self.assertEqual(traces(end_in_the_middle(signal.SIGTERM)), [])

    def test_the_next_run_cleans_up_after_one_that_was_killed(self):
        name = end_in_the_middle(signal.SIGKILL)
        self.assertNotEqual(traces(name), [])
        remove_dead_runs()
        self.assertEqual(traces(name), [])


if __name__ == "__main__":
    unittest.main()
