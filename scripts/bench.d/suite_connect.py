# SPDX-License-Identifier: Apache-2.0
"""Processes of a node dial Services; the server is one hop away."""

import os
from dataclasses import dataclass
from typing import Callable, Iterable, Iterator

from cluster import BACKEND_CIDR, PORT, TARGET_PORT, Cluster
from kube_proxy import RealKubeProxy
from place import Node, Place, make_node
from rivals import Programs, Rivals, attach_empty_programs, load_conntrack
from rows import FLOOR, LEAST, Row
from traffic import Client, Effort, Server, Turn, take_turns

NAME = "connect"
BACKENDS = 10
API_ADDRESS = "10.65.0.1"  # of the API server that a real kube-proxy asks
TCP = ("tcp-connect", "tcp-connect-close", "tcp-request", "tcp-ping-pong", "tcp-bulk")
UDP = ("udp-send", "udp-request", "udp-request-new")
# By the target that they dial.
RANDOM = {"random": ("tcp-connect", "tcp-request"), "random-udp": ("udp-send", "udp-request")}
THREADED = {"hot": "tcp-connect", "udp": "udp-send"}
THREADS = 8
CONFIGS = ("nftables", "iptables", "topolb")


@dataclass(frozen=True)
class Sizes:
    services: tuple[int, ...]
    backends: tuple[int, ...]
    tiers: tuple[int, ...]


QUICK = Sizes(services=(1, 100, 1000), backends=(1, 100), tiers=(1, 4, 16))
FULL = Sizes(services=(1, 1000, 10_000, 100_000), backends=(1, 100, 5000), tiers=(1, 4, 16))


@dataclass(frozen=True)
class Subject:
    """A rival with a cluster; `every`: does every workload, else only connects."""

    config: str
    cluster: Cluster
    every: bool = False

    @property
    def name(self) -> str:
        return f"{self.config}-{self.cluster.services}-{self.cluster.backends}-{self.cluster.tiers}"


def subjects(sizes: Sizes) -> Iterator[Subject]:
    for services in sizes.services:
        for config in CONFIGS:
            yield Subject(config, Cluster(services, BACKENDS), every=True)
    for backends in sizes.backends:
        for config in ("direct", *CONFIGS):
            yield Subject(config, Cluster(1, backends))
    for tiers in sizes.tiers:
        yield Subject("topolb", Cluster(1, BACKENDS, tiers))


class Network:
    """The server, and nodes each joined to it."""

    def __init__(self, place: Place, programs: Programs, cpu: int):
        self._place = place
        self._programs = programs
        self._cpu = cpu
        self._nodes = 0
        self._namespace = place.namespace()
        self._namespace.run("ip", "address", "add", f"{API_ADDRESS}/32", "dev", "lo")
        self._namespace.run("ip", "route", "add", "local", BACKEND_CIDR, "dev", "lo")
        self._server = Server(self._namespace)
        self.kube_proxy = RealKubeProxy.wanted(place, self._namespace, API_ADDRESS)

    def node(self, name: str) -> Node:
        self._nodes += 1
        return make_node(self._place, self._namespace, name, self._nodes)

    def client(self, node: Node, targets: dict[str, list[str]], pinned: bool = True) -> Client:
        return Client(self._place, node, self._programs.traffic, self._server,
                      self._cpu if pinned else None, targets)


def service_targets(cluster: Cluster) -> dict[str, list[str]]:
    def frontend(number: int) -> str:
        return f"{cluster.address(number)}:{PORT}"

    return {"hot": [frontend(cluster.hot)], "udp": [frontend(cluster.udp)],
            "random": [frontend(number) for number in cluster.of("TCP")],
            "random-udp": [frontend(number) for number in cluster.of("UDP")]}


def backend_targets(clusters: list[Cluster]) -> dict[str, list[str]]:
    """What a direct connection dials in place of the Services."""
    def backends(cluster: Cluster, numbers: Iterable[int]) -> list[str]:
        return [f"{address}:{TARGET_PORT}" for number in numbers
                for address in cluster.endpoints(number)]

    one = clusters[0]
    targets = {"hot": backends(one, [one.hot])}
    targets["udp"] = targets["hot"]
    for cluster in clusters[1:]:
        targets[f"random-{cluster.services}"] = backends(cluster, cluster.of("TCP"))
        targets[f"random-udp-{cluster.services}"] = backends(cluster, cluster.of("UDP"))
    return targets


def turns_of(subject: Subject, network: Network, node: Node) -> list[Turn]:
    cluster = subject.cluster
    targets = backend_targets([cluster]) if subject.config == "direct" else service_targets(cluster)
    client = network.client(node, targets)
    name = {"suite": NAME, "config": subject.config, "services": cluster.services,
            "backends": cluster.backends}
    if cluster.tiers > 0:
        name["tiers"] = cluster.tiers
    hot = {**name, "heat": "hot"}
    turns = [Turn(client, workload, "hot", hot)
             for workload in (TCP if subject.every else TCP[:1])]
    if subject.every:
        turns += [Turn(client, workload, "udp", hot) for workload in UDP]
        turns += threaded_turns(network, node, targets, hot)
    if cluster.services > 1:
        turns += [Turn(client, workload, target, {**name, "heat": "random"})
                  for target, workloads in RANDOM.items() for workload in workloads]
    return turns


def threaded_turns(network: Network, node: Node, targets: dict[str, list[str]],
                   name: dict) -> list[Turn]:
    client = network.client(node, targets, pinned=False)
    return [Turn(client, workload, target, {**name, "threads": THREADS}, THREADS)
            for target, workload in THREADED.items()]


def direct_turns(config: str, network: Network, node: Node, clusters: list[Cluster]) -> list[Turn]:
    """Dials the backends themselves, or has the least programs do so."""
    targets = service_targets(clusters[0]) if config == LEAST else backend_targets(clusters)
    name = {"suite": NAME, "config": config}
    hot = {**name, "heat": "hot"}
    client = network.client(node, targets)
    turns = [Turn(client, workload, "hot", hot) for workload in (*TCP, *UDP)]
    turns += threaded_turns(network, node, targets, hot)
    turns += [Turn(client, workload, f"{target}-{cluster.services}",
                   {**name, "heat": "random", "services": cluster.services})
              for cluster in clusters[1:]
              for target, workloads in RANDOM.items() for workload in workloads]
    return turns


def run(place: Place, programs: Programs, sizes: Sizes, effort: Effort,
        tell: Callable[[str], None]) -> list[Row]:
    network = Network(place, programs, min(os.sched_getaffinity(0)))
    clusters = [Cluster(services, BACKENDS) for services in sizes.services]
    direct, conntrack, empty, least = map(network.node, ("direct", "conntrack", "empty", "least"))
    load_conntrack(conntrack)
    attach_empty_programs(place, programs, empty)
    attach_empty_programs(place, programs, least, "least")
    # Twice the same: how far they are apart is the noise.
    turns = [*direct_turns("direct", network, direct, clusters),
             *direct_turns("direct-again", network, direct, clusters),
             *direct_turns(FLOOR, network, empty, clusters[:1]),
             *direct_turns(LEAST, network, least, clusters[:1]),
             *direct_turns("conntrack", network, conntrack, clusters[:1])]
    rivals = Rivals(place, programs, network.kube_proxy)
    rows = []
    for subject in subjects(sizes):
        tell(f"loading {subject.name}")
        node = network.node(subject.name)
        rows += rivals.measure(subject.config, node, subject.cluster)
        turns += turns_of(subject, network, node)
    rivals.stop()
    return [*take_turns(turns, effort, tell), *rows]
