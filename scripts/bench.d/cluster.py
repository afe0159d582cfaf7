# SPDX-License-Identifier: Apache-2.0
"""The cluster that is measured: N TCP Services and one of UDP, of M backends each, as seen from one
node.

Backends are addresses of the server's namespace (10.0.0.0/11), the Services' are those set aside for
benchmarks (198.18.0.0/15), and the nodes have addresses of the cluster's own range, so that no rival
has to masquerade what leaves a node.
"""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

CLUSTER_CIDR = "10.0.0.0/8"
BACKEND_CIDR = "10.0.0.0/11"
SERVICE_CIDR = "198.18.0.0/15"
PORT = 80
TARGET_PORT = 8080
FIRST_NODE_PORT = 30000
NODE_PORTS = 2768
NODE = "node-1"
OTHER_NODE = "node-2"
ENDPOINTS_OF_A_SLICE = 100  # as Kubernetes makes them
SERVICES_OF_A_FILE = 1000

_FIRST_BACKEND = int(ipaddress.ip_network(BACKEND_CIDR).network_address) + 1
_FIRST_SERVICE = int(ipaddress.ip_network(SERVICE_CIDR).network_address) + 1


def dotted(number: int) -> str:
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@dataclass(frozen=True)
class Cluster:
    """Services have numbers: `hot` is the one that is always dialled, `udp` the same of UDP, as every
    fifth is: those that share chains are of one protocol.
    `tiers` 0: no topology keys; else so many, of which only the last has backends.
    `local`: the backends of `hot` and `udp` are on this node."""

    services: int
    backends: int
    tiers: int = 0
    node_ports: bool = False
    local: bool = False

    @property
    def hot(self) -> int:
        """In the middle, as an average one is of any list."""
        return self.services // 2

    @property
    def udp(self) -> int:
        return self.hot + 1

    @property
    def numbers(self) -> range:
        return range(self.services + 1)

    def protocol(self, service: int) -> str:
        return "UDP" if service % 5 == self.udp % 5 else "TCP"

    def of(self, protocol: str) -> list[int]:
        return [number for number in self.numbers if self.protocol(number) == protocol]

    def is_local(self, service: int) -> bool:
        return self.local and service in (self.hot, self.udp)

    def node_port(self, service: int) -> int | None:
        """There are not enough for all of many."""
        if not self.node_ports:
            return None
        if service in (self.hot, self.udp):
            return FIRST_NODE_PORT + service - self.hot
        return FIRST_NODE_PORT + 2 + service if service < NODE_PORTS - 2 else None

    def name(self, service: int) -> str:
        return f"s{service:06}"

    def address(self, service: int) -> str:
        return dotted(_FIRST_SERVICE + service)

    def endpoints(self, service: int) -> list[str]:
        first = _FIRST_BACKEND + service * self.backends
        return [dotted(first + number) for number in range(self.backends)]

    def topology_keys(self) -> list[str]:
        return [f"bench.topolb.io/level-{tier}" for tier in range(self.tiers - 1)] + ["*"]

    def service(self, number: int) -> dict:
        annotations = {}
        if self.tiers > 0:
            annotations["topolb.io/topology-keys"] = ", ".join(self.topology_keys())
        port = {"name": "p", "port": PORT, "protocol": self.protocol(number),
                "targetPort": TARGET_PORT}
        node_port = self.node_port(number)
        if node_port is not None:
            port["nodePort"] = node_port
        return {
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": self.name(number), "namespace": "default",
                         "annotations": annotations},
            "spec": {"type": "ClusterIP" if node_port is None else "NodePort",
                     "clusterIP": self.address(number), "clusterIPs": [self.address(number)],
                     "ports": [port]}}

    def slices(self, number: int) -> Iterator[dict]:
        endpoints = self.endpoints(number)
        node = NODE if self.is_local(number) else OTHER_NODE
        for first in range(0, len(endpoints), ENDPOINTS_OF_A_SLICE):
            yield {
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": f"{self.name(number)}-{first}", "namespace": "default",
                             "labels": {"kubernetes.io/service-name": self.name(number)}},
                "addressType": "IPv4",
                "ports": [{"name": "p", "port": TARGET_PORT, "protocol": self.protocol(number)}],
                "endpoints": [{"addresses": [address], "conditions": {"ready": True},
                               "nodeName": node}
                              for address in endpoints[first:first + ENDPOINTS_OF_A_SLICE]]}

    def node_object(self, name: str, address: str) -> dict:
        labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "zone-1"}
        if name == NODE:
            labels |= {key: "here" for key in self.topology_keys()[:-1]}
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
                "status": {"addresses": [{"type": "InternalIP", "address": address}]}}

    def write_manifests(self, directory: Path, node_address: str) -> None:
        def write(name: str, items: list[dict]) -> None:
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
            (directory / name).write_text(text, encoding="utf-8")

        directory.mkdir(parents=True)
        write("node.json", [self.node_object(NODE, node_address)])
        for first in self.numbers[::SERVICES_OF_A_FILE]:
            items = []
            for number in self.numbers[first:first + SERVICES_OF_A_FILE]:
                items += [self.service(number), *self.slices(number)]
            write(f"services-{first:06}.json", items)
