#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules that scripts/bench generates are laid out as kube-proxy's: as a description of the real
ones says, which was recorded by

    sudo KUBE_PROXY=FILE KUBEBUILDER_ASSETS=DIR tests/bench/rules_test.py record
"""

import dataclasses
import json
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).resolve().parent / "kube_proxy_layout.json"
sys.path.insert(0, str(ROOT / "scripts" / "bench.d"))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import layout
import rules_iptables
import rules_nftables
from cluster import Cluster
from kube_proxy import RealKubeProxy
from place import Namespace, Place, make_node

CLUSTER = Cluster(services=2, backends=3, node_ports=True, local=True)
NODE_ADDRESS = "10.64.1.2"
SERVER_ADDRESS = "10.64.1.1"
SAVE = "iptables-legacy-save"


def describe(namespace: Namespace, mode: str) -> dict:
    if mode == "nftables":
        return layout.describe_nftables(namespace)
    return layout.describe_iptables(namespace, SAVE)


class RulesTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.recorded = json.loads(RECORDED.read_text(encoding="utf-8"))

    def compare(self, mode, rules, cluster, chains):
        with Place() as place:
            namespace = place.namespace()
            rules.load(namespace, cluster, NODE_ADDRESS, chains)
            return describe(namespace, mode), self.recorded[mode]

    def test_nftables(self):
        self.assertEqual(*self.compare("nftables", rules_nftables, CLUSTER, len(CLUSTER.numbers)))

    def test_iptables(self):
        self.assertEqual(*self.compare("iptables", rules_iptables, CLUSTER, len(CLUSTER.numbers)))

    def test_another_layout_is_told_apart(self):
        other = dataclasses.replace(CLUSTER, backends=2)
        for mode, rules in ("nftables", rules_nftables), ("iptables", rules_iptables):
            self.assertNotEqual(*self.compare(mode, rules, other, len(other.numbers)))

    def test_services_that_share_chains_lead_to_a_backend(self):
        many = Cluster(services=40, backends=2)
        with Place() as place:
            namespace = place.namespace()
            rules_nftables.load(namespace, many, NODE_ADDRESS, 10)
            described = layout.describe_nftables(namespace)
            rules_iptables.load(namespace, many, NODE_ADDRESS, 10)
            services = layout.describe_iptables(namespace, SAVE)["nat"]["KUBE-SERVICES"]
        chains = [name for name in described["chains"] if name.startswith("service of")]
        self.assertEqual(len(chains), 10 + 2)
        self.assertEqual(len(described["sets"]["service-ips"]["elements"]), len(many.numbers))
        self.assertEqual(len(services), len(many.numbers) + 1)
        for service in services[:-1]:
            self.assertEqual(len(service[1]), 1 + many.backends, service)


def record() -> None:
    recorded = {}
    for mode in "nftables", "iptables":
        with Place() as place:
            server = place.namespace()
            node = make_node(place, server, "node", 1)
            kube_proxy = RealKubeProxy.wanted(place, server, SERVER_ADDRESS)
            if kube_proxy is None:
                sys.exit("set KUBE_PROXY and KUBEBUILDER_ASSETS")
            kube_proxy.load(node, CLUSTER, mode)
            recorded[mode] = describe(node.namespace, mode)
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["record"]:
        record()
    else:
        unittest.main()
