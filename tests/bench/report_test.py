#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What scripts/bench makes of rows: ratios round by round, tables, goals, plots, Markdown."""

import json
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "scripts" / "bench"
sys.path.insert(0, str(ROOT / "scripts" / "bench.d"))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import goals
import markdown
import plot
import plots
from cluster import Cluster
from rows import POOLED, Row, ratios, reference_of
from tables import number, tables_of

CONNECT = {"suite": "connect", "workload": "tcp-connect", "heat": "hot"}
MACHINE = {"date": "2026-01-02T03:04:05+00:00", "kernel": "6.1", "cpu": "some", "cpus": 2,
           "memory": "1 kB", "load": "0.00 0.00 0.00", "virtual": False, "versions": {"commit": "c"}}


def row(config, samples, stat="p50", unit="us", **name):
    return Row({**CONNECT, "config": config, "stat": stat, **name}, unit, samples)


def connect_rows():
    """The second round was twice as slow for all."""
    return [
        row("direct", [10.0, 20.0, 10.0]),
        row("direct-again", [10.1, 20.2, 10.1]),
        row("empty-programs", [10.2, 20.4, 10.2]),
        row("least-programs", [10.4, 20.8, 10.4]),
        row("nftables", [20.0, 40.0, 20.0], services=1, backends=10),
        row("topolb", [11.0, 22.0, 11.0], services=1, backends=10),
        row("topolb", [11.5, 23.0, 11.5], services=1000, backends=10),
        row("direct", [12.0, 24.0, 12.0], heat="random", services=1000),
        row("topolb", [15.0, 30.0, 15.0], heat="random", services=1000, backends=10),
    ]


def run_of(rows, commit="c"):
    return {"machine": {**MACHINE, "versions": {"commit": commit}}, "command": [], "quick": False,
            "seconds": 1, "run": {"rounds": 3}, "rows": [one.to_json() for one in rows]}


def above_nothing(suite, workload, nothing, topolb, **name):
    common = {"suite": suite, "workload": workload, "stat": "mean"}
    return [Row({**common, "config": "noop"}, "ns", nothing),
            Row({**common, "config": "topolb", **name}, "ns", topolb)]


class RowsTest(unittest.TestCase):
    def test_ratio_is_taken_round_by_round(self):
        rows = connect_rows()
        self.assertEqual(ratios(rows[5], rows[0]), [1.1, 1.1, 1.1])

    def test_reference(self):
        rows = [*connect_rows(), row("direct", [1.0], services=1, backends=99),
                row("topolb", [1.0], services=1, backends=99)]
        for index, expected in ((2, 0), (6, 0), (8, 7), (1, 0), (10, 9)):
            self.assertIs(reference_of(rows, rows[index]), rows[expected], index)

    def test_json_and_back(self):
        one = row("topolb", [1.5], services=1)
        self.assertEqual(Row.from_json(one.to_json()), one)


class TablesTest(unittest.TestCase):
    def test_numbers(self):
        for value, expected in ((0.5, "0.50"), (9.876, "9.88"), (123.45, "123.5"), (4321.9, "4322"),
                                (1234567, "1,234,567"), (-0.5, "-0.50")):
            self.assertEqual(number(value), expected)

    def test_beside_direct(self):
        table, = tables_of(connect_rows())
        self.assertEqual(table.title, "tcp-connect")
        self.assertEqual(table.headings, ["", "Services", "backends", "Service", "p50 µs",
                                          "× direct"])
        self.assertEqual([line[0] for line in table.lines],
                         ["direct", "direct", "direct-again", "empty-programs", "least-programs",
                          "nftables", "topolb", "topolb", "topolb"])
        self.assertEqual(table.lines[6], ["topolb", "1", "10", "hot", "11.00 (11.00–22.00)", "1.100"])
        self.assertEqual(table.lines[8][-1], "1.250")
        self.assertIn("| topolb | 1,000 | 10 | hot | 11.50 (11.50–23.00) | 1.150 |",
                      table.markdown())

    def test_above_a_program_that_does_nothing(self):
        rows = above_nothing("hooks", "bpf-connect4", [50.0, 150.0], [90.0, 190.0])
        table, = tables_of(rows)
        self.assertEqual(table.lines, [["noop", "100.0 (50.00–150.0)", ""],
                                       ["topolb", "140.0 (90.00–190.0)", "40.00"]])

    def test_above_a_program_that_does_nothing_with_the_same_packets(self):
        rows = [*above_nothing("packets", "tc-established", [50.0], [90.0], case="local", flows=1),
                *above_nothing("packets", "tc-established", [70.0], [200.0], case="local",
                               flows=10_000)]
        for row_, flows in zip(rows[::2], (1, 10_000)):
            row_.name |= {"case": "local", "flows": flows}
        table, = tables_of(rows)
        self.assertEqual([line[-1] for line in table.lines], ["", "", "40.00", "130.0"])

    def test_figures(self):
        name = {"suite": "control", "workload": "cold-start", "config": "topolb", "services": 10}
        rows = [Row({**name, "stat": "cpu"}, "ms", [3.0, 1.0, 2.0]),
                Row({**name, "stat": "rss"}, "bytes", [2e6])]
        table, = tables_of(rows)
        self.assertEqual(table.headings, ["", "Services", "cpu ms", "rss MB"])
        self.assertEqual(table.lines, [["topolb", "10", "2.00 (1.00–3.00)", "2.00"]])


class GoalsTest(unittest.TestCase):
    def line(self, what, rows):
        return next(goal.line(rows) for goal in goals.GOALS if goal.what == what)

    def test_the_worst_counts(self):
        line = self.line("connect() p50, hot, all sizes", connect_rows())
        self.assertEqual(line[1:], ["1.040 ×", "1.150 ×", "1.010 ×", "1.020 ×", "1.040 ×", "no"])

    def test_what_is_too_much_by_less_than_the_noise(self):
        for measured, again, verdict in ((10.0, 12.0, "yes"), (11.0, 11.5, "within noise"),
                                         (11.0, 8.5, "within noise"), (11.0, 10.1, "no")):
            rows = [row("direct", [10.0], workload="tcp-ping-pong"),
                    row("direct-again", [again], workload="tcp-ping-pong"),
                    row("topolb", [measured], workload="tcp-ping-pong")]
            self.assertEqual(self.line("established ping-pong", rows)[-1], verdict)

    def test_p99_of_all_rounds_together(self):
        rows = [row(config, [sample], stat=POOLED) for config, sample in
                (("direct", 20.0), ("direct-again", 20.4), ("topolb", 20.8))]
        self.assertEqual(self.line("the same, all rounds' connections together", rows)[1:],
                         ["1.050 ×", "1.040 ×", "1.020 ×", "", "", "yes"])

    def test_against_nftables_of_the_same_size(self):
        self.assertEqual(self.line("the same against nftables", connect_rows())[1:],
                         ["0.820 ×", "0.550 ×", "", "", "", "yes"])

    def test_above_no_op(self):
        rows = above_nothing("hooks", "bpf-connect4", [50.0], [90.0], case="tcp-no-service")
        self.assertEqual(self.line("BPF time of connect4: no Service", rows)[1:],
                         ["45.00 ns", "40.00 ns", "", "", "", "yes"])

    def test_flatness_takes_off_what_more_addresses_cost_without_a_service(self):
        rows = [row("direct", [10.0]), row("direct", [20.0], backends=5000, services=1),
                row("topolb", [11.0], backends=1, services=1),
                row("topolb", [22.0], backends=5000, services=1)]
        self.assertEqual(self.line("5,000 backends against 1", rows)[1:],
                         ["1.050 ×", "1.000 ×", "", "", "", "yes"])

    def test_nothing_measured(self):
        for goal in goals.GOALS:
            self.assertEqual(goal.line([])[2:], ["not measured", "", "", "", ""], goal.what)


class PlotTest(unittest.TestCase):
    def test_axis_spans_the_values(self):
        for values, first, last, count in (([1, 100_000], 1, 100_000, 6), ([14.3, 15.9], 10, 20, 2),
                                           ([7, 7], 5, 10, 2), ([0.03, 4], 0.02, 5, 8)):
            axis = plot.Axis([float(value) for value in values], 0, 100)
            self.assertAlmostEqual(axis.ticks[0], first)
            self.assertAlmostEqual(axis.ticks[-1], last)
            self.assertEqual(len(axis.ticks), count)
            for value in values:
                self.assertTrue(0 <= axis.at(value) <= 100)

    def test_names_do_not_cover_each_other(self):
        series = [plot.Series(str(i), [plot.Point(1, 10 + i / 10, 10, 11)]) for i in range(4)]
        axis = plot.Axis([10.0, 20.0], 400, 0)
        places = sorted(plot.label_places(series, axis))
        self.assertTrue(all(b - a >= 15 for a, b in zip(places, places[1:])), places)

    def test_a_real_kube_proxy_is_drawn_beside(self):
        rows = [Row({"suite": "control", "workload": "cold-start", "stat": "cpu", "config": config,
                     "case": case, "services": services, "backends": 10}, "ms", [services / 10])
                for config, case in (("topolb", "streamed"), ("nftables", "kube-proxy"))
                for services in (100, 1000)]
        drawn, = plots.plots_of(rows)
        self.assertEqual([one.name for one in drawn.series], ["streamed", "kube-proxy nftables"])

    def test_what_took_too_little_to_be_measured_has_no_place(self):
        rows = [Row({"suite": "control", "workload": "endpoint-change", "stat": "cpu",
                     "config": "nftables", "case": "kube-proxy", "services": services, "backends": 10},
                    "ms", samples)
                for services, samples in ((1, [0.0, 0.0, 10.0]), (10, [0.0, 10.0, 10.0]),
                                          (100, [10.0, 20.0, 20.0]))]
        drawn, = plots.plots_of(rows)
        self.assertEqual([(one.x, one.low) for one in drawn.series[0].points], [(100, 10), (1000, 10)])
        self.assertIn("<svg", plot.draw(drawn))

    def test_plots_of_rows(self):
        with tempfile.TemporaryDirectory() as directory:
            paths = plots.write_plots(connect_rows(), Path(directory))
            self.assertEqual([path.name for path in paths], ["connect-services.svg"])
            tree = xml.etree.ElementTree.parse(paths[0])
        words = [text.text for text in tree.findall(".//{http://www.w3.org/2000/svg}text")]
        self.assertIn("topolb", words)
        self.assertIn("direct", words)


class MarkdownTest(unittest.TestCase):
    def update(self, page):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "page.md")
            path.write_text(page, encoding="utf-8")
            markdown.update(path, {"connect": run_of(connect_rows())}, connect_rows())
            return path.read_text(encoding="utf-8")

    def test_only_what_was_measured_is_replaced(self):
        page = self.update("a\n<!-- bench: machine -->\nold\n<!-- bench: end -->\n"
                           "<!-- bench: packets -->\nkept\n<!-- bench: end -->\nb\n")
        self.assertTrue(page.startswith("a\n<!-- bench: machine -->\n\n2026-01-02, commit c: 2 CPUs"))
        self.assertTrue(page.endswith("<!-- bench: packets -->\nkept\n<!-- bench: end -->\nb\n"))
        self.assertNotIn("old", page)

    def test_twice_is_once(self):
        once = self.update("<!-- bench: connect -->\n<!-- bench: end -->\n")
        self.assertEqual(self.update(once), once)

    def test_a_page_without_a_place(self):
        self.assertEqual(self.update("nothing\n"), "nothing\n")
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "page.md")
            self.assertFalse(markdown.has_place(path))
            path.write_text("nothing\n", encoding="utf-8")
            self.assertFalse(markdown.has_place(path))
            path.write_text("<!-- bench: goals -->\n<!-- bench: end -->\n", encoding="utf-8")
            self.assertTrue(markdown.has_place(path))


class SavedTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def save(self, name, suites):
        (self.directory / name).write_text(json.dumps(suites), encoding="utf-8")
        return self.directory / name

    def test_runs_of_several_files_are_one(self):
        old = Row({"suite": "hooks", "workload": "old", "stat": "mean", "config": "topolb"}, "ns", [1.0])
        new = Row({"suite": "hooks", "workload": "new", "stat": "mean", "config": "topolb"}, "ns", [1.0])
        first = self.save("first", {"suites": {"connect": run_of(connect_rows(), "aaa"),
                                               "hooks": run_of([old], "aaa")}})
        second = self.save("second", {"suites": {"hooks": run_of([new], "bbb")}})
        both = self.directory / "both"
        result = run_bench("--from", first, "--from", second, "--json", both)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue(result.stdout.startswith("connect: 2026-01-02, commit aaa: "), result.stdout)
        self.assertIn("\nhooks: 2026-01-02, commit bbb: ", result.stdout)
        self.assertIn("hooks: new", result.stdout)
        self.assertNotIn("hooks: old", result.stdout)
        self.assertEqual(run_bench("--from", both).stdout, result.stdout)

    def test_nobody_reads_the_tables_to_their_end(self):
        saved = self.save("rows", {"suites": {"connect": run_of(connect_rows())}})
        with subprocess.Popen([BENCH, "--from", saved], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:
            process.stdout.close()
            self.assertEqual(process.stderr.read(), "")
        self.assertEqual(process.returncode, 0)

    def test_what_nobody_saved(self):
        for text in "", "[]", "{}", "{", '{"suites": 1}':
            (self.directory / "rows").write_text(text, encoding="utf-8")
            result = run_bench("--from", self.directory / "rows")
            self.assertEqual(result.returncode, 2, text)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
            self.assertIn("is not what --json writes", result.stderr)


def run_bench(*arguments):
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, check=False)


class ArgumentsTest(unittest.TestCase):
    def test_nonsense_is_refused_in_one_line_before_anything_is_measured(self):
        for arguments, words in ((["--repeat", "0"], "--repeat"),
                                 (["--from", "/nonexistent"], "/nonexistent: No such file"),
                                 (["--from", "/dev/null", "--quick"], "--from measures nothing"),
                                 (["--json", "/"], "is a directory"),
                                 (["--svg", "/dev/null"], "is no directory"),
                                 (["--json", "/nonexistent/rows"], "no directory for"),
                                 (["--markdown", "/etc/passwd"], "no place for tables")):
            result = run_bench(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
            self.assertIn(words, result.stderr)

    def test_unknown_suite(self):
        result = run_bench("--only", "nonsense")
        self.assertEqual(result.returncode, 2)
        self.assertIn("nonsense", result.stderr)


class ClusterTest(unittest.TestCase):
    def test_addresses_and_ports_are_used_once(self):
        cluster = Cluster(services=3000, backends=3, node_ports=True)
        addresses = [cluster.address(number) for number in cluster.numbers]
        self.assertEqual(len(set(addresses)), 3001)
        endpoints = [address for number in cluster.numbers for address in cluster.endpoints(number)]
        self.assertEqual(len(set(endpoints)), 3 * 3001)
        ports = [port for number in cluster.numbers if (port := cluster.node_port(number))]
        self.assertEqual(len(set(ports)), len(ports))
        self.assertTrue(all(30000 <= port <= 32767 for port in ports))
        for number in cluster.hot, cluster.udp:
            self.assertIn(cluster.node_port(number), ports)

    # A shared chain names the protocol; 100,000 Services share those of 10,000.
    def test_services_that_share_chains_have_one_protocol(self):
        for services in 1, 100, 1000, 10_000, 100_000:
            cluster = Cluster(services=services, backends=1)
            self.assertEqual(cluster.protocol(cluster.hot), "TCP", services)
            self.assertEqual(cluster.protocol(cluster.udp), "UDP", services)
        self.assertEqual([cluster.protocol(number) for number in range(90_000, 100_000)],
                         [cluster.protocol(number) for number in range(10_000)])
        self.assertEqual(len(cluster.of("UDP")), 20_000)

    def test_slices_hold_all_endpoints(self):
        cluster = Cluster(services=1, backends=250)
        slices = list(cluster.slices(0))
        self.assertEqual([len(one["endpoints"]) for one in slices], [100, 100, 50])
        self.assertEqual([endpoint["addresses"][0] for one in slices for endpoint in one["endpoints"]],
                         cluster.endpoints(0))

    def test_largest_cluster_stays_in_its_ranges(self):
        cluster = Cluster(services=100_000, backends=10)
        self.assertTrue(cluster.address(cluster.numbers[-1]).startswith("198.19."))
        self.assertTrue(cluster.endpoints(cluster.numbers[-1])[-1].startswith("10.15."))


if __name__ == "__main__":
    unittest.main()
