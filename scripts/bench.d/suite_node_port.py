# SPDX-License-Identifier: Apache-2.0
"""A client outside of the cluster dials a NodePort; the node forwards to a backend of its own, or of
another node. What is direct is forwarded too, to a backend that the client dials itself."""

import os
from dataclasses import dataclass
from typing import Callable, Iterator

from cluster import BACKEND_CIDR, TARGET_PORT, Cluster
from kube_proxy import RealKubeProxy
from place import Node, Place, join
from rivals import CLUSTER_DEVICE, Programs, Rivals, load_conntrack
from rows import Row
from traffic import Client, Effort, Server, Turn, take_turns

NAME = "node-port"
BACKENDS = 10
CONFIGS = ("nftables", "iptables", "topolb")
TCP = ("tcp-connect", "tcp-request", "tcp-ping-pong", "tcp-bulk")
UDP = ("udp-request", "udp-request-new")
API_ADDRESS = "10.65.0.1"  # of the API server that a real kube-proxy asks
POD_DEVICE = "pod0"
QUICK = (1, 1000)
FULL = (1, 1000, 10_000)


@dataclass(frozen=True)
class Path:
    """A client, the node that it dials, and where the backends are: of this node (`local`), or
    reached by it as another node's are."""

    node: Node
    client: Node
    server: Server


def make_path(place: Place, name: str, device: str) -> Path:
    """`device`: where the node has the backends."""
    client, node, backends = (place.namespace() for _ in range(3))
    join(client, "eth0", "192.0.2.2", node, "eth0", "192.0.2.1")
    join(backends, "eth0", "10.64.1.2", node, device, "10.64.1.1")
    client.shell("ip route add default via 192.0.2.1")
    node.shell("ip route add default via 192.0.2.2; echo 1 >/proc/sys/net/ipv4/ip_forward; "
               f"ip route add {BACKEND_CIDR} via 10.64.1.2")
    backends.shell(f"ip route add local {BACKEND_CIDR} dev lo; ip route add default via 10.64.1.1")
    return Path(Node(name, node, place.make_cgroup(name), "192.0.2.1"),
                Node(f"{name}-client", client, place.make_cgroup(f"{name}-client"), "192.0.2.2"),
                Server(backends))


class ApiNetwork:
    """Where a real kube-proxy finds the API server, if it is wanted."""

    def __init__(self, place: Place):
        self._namespace = place.namespace()
        self._namespace.run("ip", "address", "add", API_ADDRESS, "dev", "lo")
        self.kube_proxy = RealKubeProxy.wanted(place, self._namespace, API_ADDRESS)
        self._nodes = 0

    def reach_from(self, node: Node) -> None:
        self._nodes += 1
        gateway = f"10.65.{self._nodes}.1"
        join(self._namespace, f"node{self._nodes}", gateway, node.namespace, "api0",
             f"10.65.{self._nodes}.2")
        node.namespace.run("ip", "route", "add", API_ADDRESS, "via", gateway)


def turns_of(place: Place, programs: Programs, path: Path, targets: dict[str, list[str]],
             name: dict) -> Iterator[Turn]:
    client = Client(place, path.client, programs.traffic, path.server, min(os.sched_getaffinity(0)),
                    targets)
    for target, workloads in (("hot", TCP), ("udp", UDP)):
        for workload in workloads:
            yield Turn(client, workload, target, name)


def direct_turns(place: Place, programs: Programs) -> Iterator[Turn]:
    one = Cluster(1, BACKENDS)
    backends = [f"{address}:{TARGET_PORT}" for address in one.endpoints(one.hot)]
    targets = {"hot": backends, "udp": backends}
    plain, conntrack = (make_path(place, name, CLUSTER_DEVICE) for name in ("direct", "conntrack"))
    load_conntrack(conntrack.node)
    for config, path in (("direct", plain), ("direct-again", plain), ("conntrack", conntrack)):
        yield from turns_of(place, programs, path, targets,
                            {"suite": NAME, "config": config, "heat": "hot"})


def run(place: Place, programs: Programs, sizes: tuple[int, ...], effort: Effort,
        tell: Callable[[str], None]) -> list[Row]:
    turns = list(direct_turns(place, programs))
    api = ApiNetwork(place)
    rivals = Rivals(place, programs, api.kube_proxy)
    for services in sizes:
        for case in ("local", "remote"):
            cluster = Cluster(services, BACKENDS, node_ports=True, local=case == "local")
            for config in CONFIGS:
                name = f"{config}-{services}-{case}"
                tell(f"loading {name}")
                path = make_path(place, name, POD_DEVICE if case == "local" else CLUSTER_DEVICE)
                if api.kube_proxy is not None and config != "topolb":
                    api.reach_from(path.node)
                rivals.load(config, path.node, cluster)
                targets = {key: [f"{path.node.address}:{cluster.node_port(number)}"]
                           for key, number in (("hot", cluster.hot), ("udp", cluster.udp))}
                turns += turns_of(place, programs, path, targets,
                                  {"suite": NAME, "config": config, "services": services,
                                   "backends": BACKENDS, "case": case, "heat": "hot"})
    rivals.stop()
    return take_turns(turns, effort, tell)
