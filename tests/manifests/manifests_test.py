#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""k8s/: kustomize and Helm say the same, the chart's values do what they say, wrong ones are
refused, and the flags are the agent's. Where KUBEBUILDER_ASSETS is set, a real API server is asked, too.

    manifests_test.py TOPOLBD TEST_CLUSTER DIRECTORY

The agent, the program that starts a real API server, and where to compile the chart's renderer.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml

sys.dont_write_bytecode = True
import fields  # noqa: E402
import render  # noqa: E402

WAYS = {
    "replace": {"mode": "replace", "apiServers": ["https://api-server.example:6443"]},
    "beside": {"mode": "beside"},
}
MONITORED = {"podMonitor": {"enabled": True}, "listen": {"address": "0.0.0.0"}}


DIRECTORIES = ("overlays/replace", "overlays/beside", "cleanup")


def shipped_objects():
    return [thing for directory in DIRECTORIES
            for thing in render.kustomize(render.ROOT / "k8s" / directory)]


class ManifestsTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.chart = render.Chart(sys.argv[3])

    def assert_same(self, things, others):
        self.assertEqual(render.by_name(things), render.by_name(others))

    def check_way(self, overlay, values):
        by_kustomize = render.kustomize(overlay)
        real = render.real_kustomize(overlay)
        if real is not None:
            self.assert_same(by_kustomize, real)
        self.assert_same(by_kustomize, self.chart.render(values))
        real = self.chart.real(values)
        if real is not None:
            self.assert_same(by_kustomize, real)

    def test_chart_and_overlays_are_the_same_objects(self):
        for way, values in WAYS.items():
            with self.subTest(way):
                self.check_way(render.ROOT / "k8s/overlays" / way, values)

    def test_with_a_pod_monitor_too(self):
        for way, values in WAYS.items():
            with self.subTest(way), tempfile.TemporaryDirectory() as directory:
                overlay = render.with_pod_monitor(way, directory)
                self.check_way(overlay, values | MONITORED)

    def test_each_object_is_in_one_namespace(self):
        for thing in self.chart.render(WAYS["beside"], namespace="elsewhere"):
            self.assertIn(thing["metadata"].get("namespace", "elsewhere"), "elsewhere")
            for subject in thing.get("subjects", []):
                self.assertEqual(subject["namespace"], "elsewhere")

    def test_every_field_is_known(self):
        recorded = json.loads(fields.RECORDED.read_text())
        things = shipped_objects()
        for values in WAYS.values():
            things += self.chart.render(values)
        for thing in things:
            unknown = fields.unknown_fields(thing, recorded.get(fields.kind_of(thing)), "")
            self.assertEqual(list(unknown), [], f"{render.name_of(thing)}: unknown to Kubernetes, or "
                             "never recorded: RECORD=1 with KUBEBUILDER_ASSETS records anew")

    def test_without_the_policy(self):
        kinds = [thing["kind"] for thing in
                 self.chart.render(WAYS["beside"] | {"admission": {"enabled": False}})]
        self.assertIn("DaemonSet", kinds)
        self.assertFalse([kind for kind in kinds if "Admission" in kind])

    def test_values_take_effect(self):
        def container(values):
            return render.container_of(self.chart.render(WAYS["beside"] | values))
        self.assertEqual(
            container({"image": {"repository": "registry.example/topolb"}})["image"],
            "registry.example/topolb:0.1.0")
        self.assertEqual(container({"extraArgs": ["--max-services=7"]})["args"][-1],
                         "--max-services=7")
        servers = container({"apiServers": ["https://[2001:db8::1]:6443", "https://b"]})["args"]
        self.assertEqual(servers[-2:], ["--api-server=https://[2001:db8::1]:6443",
                                        "--api-server=https://b"])
        moved = container({"listen": {"port": 10300}})
        self.assertEqual(moved["ports"][0]["hostPort"], 10300)
        self.assertEqual(moved["env"][1]["value"], "10300")

    def test_wrong_values_are_refused(self):
        wrong = [
            ({}, "mode"),
            ({"mode": "both"}, "mode"),
            ({"mode": "replace"}, "apiServers is missing"),
            ({"mode": "beside", "apiServers": ["10.0.0.1"]}, "apiServers"),
            ({"mode": "beside", "listen": {"port": 70000}}, "port"),
            ({"mode": "beside", "extraArgs": ["max-services=7"]}, "extraArgs"),
            ({"mode": "beside", "podmonitor": {}}, "podmonitor"),
            ({"mode": "beside", "podMonitor": {"enabled": True}}, "podMonitor needs an address"),
        ]
        for values, part in wrong:
            with self.subTest(values), self.assertRaisesRegex(RuntimeError, part):
                self.chart.render(values)

    def test_the_schema_knows_each_value_and_no_other(self):
        schema = json.loads((render.CHART / "values.schema.json").read_text())
        values = yaml.safe_load((render.CHART / "values.yaml").read_text())
        self.assertEqual(set(schema["properties"]) - {"global"}, set(values))
        for name, value in values.items():
            known = schema["properties"][name].get("properties")
            if known:
                self.assertEqual(set(known), set(value), name)

    def test_flags_are_the_agents(self):
        help_text = render.run(sys.argv[1], "--help")
        for way, values in WAYS.items():
            for argument in render.container_of(self.chart.render(values))["args"]:
                flag = argument.split("=")[0]
                self.assertRegex(help_text, re.escape(flag) + r"[ ,\n]", way)


class RealServer:
    """kubectl on a real API server."""

    def __init__(self, directory):
        self.kubeconfig = Path(directory) / "kubeconfig"
        self.process = subprocess.Popen([sys.argv[2], self.kubeconfig], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError("no API server")

    def end(self):
        self.process.communicate()

    def kubectl(self, *words, things=None):
        command = [Path(os.environ["KUBEBUILDER_ASSETS"]) / "kubectl", "--kubeconfig",
                   self.kubeconfig, *words]
        text = yaml.safe_dump_all(things) if things else ""
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


class OnARealServer(unittest.TestCase):
    """Loaded where there is one only."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.server = RealServer(directory.name)
        self.addCleanup(self.server.end)

    def assert_taken(self, result, count):
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(len(result.stdout.splitlines()), count)

    def test_every_object_is_valid(self):
        apply = ["apply", "--validate=strict", "-f", "-"]
        for way in DIRECTORIES:
            things = render.kustomize(render.ROOT / "k8s" / way)
            for dry_run in "client", "server", "none":
                with self.subTest(way, dry_run=dry_run):
                    result = self.server.kubectl(*apply, f"--dry-run={dry_run}", things=things)
                    self.assert_taken(result, len(things))

    def test_the_recorded_fields_are_the_servers(self):
        def fetch(path):
            return self.server.kubectl("get", "--raw", path).stdout
        known = fields.record(shipped_objects(), fetch)
        if os.environ.get("RECORD"):
            fields.RECORDED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        self.assertEqual(known, json.loads(fields.RECORDED.read_text()))

    def test_unknown_fields_would_be_found(self):
        things = render.kustomize(render.ROOT / "k8s/base")
        render.by_name(things)["DaemonSet kube-system/topolb"]["spec"]["hostNetwrok"] = True
        result = self.server.kubectl("apply", "--validate=strict", "--dry-run=server", "-f", "-",
                                     things=things)
        self.assertIn('unknown field "spec.hostNetwrok"', result.stderr)


def load_tests(loader, tests, pattern):
    del tests, pattern
    classes = [ManifestsTest] + ([OnARealServer] if os.environ.get("KUBEBUILDER_ASSETS") else [])
    return unittest.TestSuite(map(loader.loadTestsFromTestCase, classes))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
