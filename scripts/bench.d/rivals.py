# SPDX-License-Identifier: Apache-2.0
"""Those that are compared: what each does to the node that it serves."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

import rules_iptables
import rules_nftables
from cluster import NODE, Cluster
from kube_proxy import RealKubeProxy
from place import Failed, Node, Place, end
from rows import Row

RULES = {"nftables": rules_nftables, "iptables": rules_iptables}
PATIENCE_S = 300
# Of more Services than these the rules share chains, which favours the rival; the real kube-proxy would
# take hours for them.
CHAINS = 10_000

CONNTRACK = """
table inet conntrack {
  chain prerouting { type filter hook prerouting priority 0; ct state invalid drop; }
  chain output { type filter hook output priority 0; ct state invalid drop; }
}
"""
# Of a node: to the outside, and to the other nodes' pods where that is another one.
DEVICE = "eth0"
CLUSTER_DEVICE = "cluster0"


@dataclass(frozen=True)
class Programs:
    """What was built."""

    agent: Path
    cli: Path
    traffic: Path
    empty: Path


def load_conntrack(node: Node) -> None:
    node.namespace.run("nft", "-f", "-", text=CONNTRACK)


def attach_empty_programs(place: Place, programs: Programs, node: Node, *words: str) -> None:
    """At the hooks that topolb's are attached to; with "least", some that are not empty."""
    pin_path = place.pin_path(node.name)
    pin_path.mkdir(parents=True)
    process = place.start(node.namespace, str(programs.empty), str(node.cgroup), DEVICE,
                          str(pin_path), *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdout.readline() != "ready\n":
        raise Failed(f"{programs.empty.name}: cannot attach to {node.name}")


class Rivals:
    """Loads a node with a cluster, as `config` does it."""

    def __init__(self, place: Place, programs: Programs, kube_proxy: RealKubeProxy | None):
        self._place = place
        self._programs = programs
        self._kube_proxy = kube_proxy

    def load(self, config: str, node: Node, cluster: Cluster) -> None:
        if config == "topolb":
            load_topolb(self._place, self._programs, node, cluster)
        elif self._is_real(config, cluster):
            self._kube_proxy.load(node, cluster, config)
        elif config in RULES:
            chains = min(CHAINS, len(cluster.numbers))
            RULES[config].load(node.namespace, cluster, node.address, chains)

    def measure(self, config: str, node: Node, cluster: Cluster) -> list[Row]:
        """The same, and what that took, of a real kube-proxy."""
        if self._is_real(config, cluster):
            return self._kube_proxy.measure(node, cluster, config)
        self.load(config, node, cluster)
        return []

    def _is_real(self, config: str, cluster: Cluster) -> bool:
        return (self._kube_proxy is not None and config in RULES and cluster.services <= CHAINS)

    def stop(self) -> None:
        """Nothing runs on any more but what is in the kernel."""
        if self._kube_proxy is not None:
            self._kube_proxy.stop()


def load_topolb(place: Place, programs: Programs, node: Node, cluster: Cluster) -> None:
    """The agent ends once all is in the kernel, which goes on by itself: nothing runs beside what is
    measured, as with the rules."""
    manifests = place.directory / f"manifests-{node.name}"
    cluster.write_manifests(manifests, node.address)
    log = place.directory / f"agent-{node.name}.log"
    place.pin_path(node.name).parent.mkdir(exist_ok=True)
    with open(log, "w", encoding="utf-8") as output:
        agent = place.start(
            node.namespace, str(programs.agent), "--node", NODE, "--manifests", str(manifests),
            "--cgroup", str(node.cgroup), "--pin-path", str(place.pin_path(node.name)),
            "--devices", f"{DEVICE},{CLUSTER_DEVICE}", *sizes(cluster), stdout=output, stderr=output)
    wait_until_ready(agent, log)
    end(agent, SIGTERM)


def sizes(cluster: Cluster) -> list[str]:
    services = len(cluster.numbers)
    flags = {
        "services": services, "frontends": 2 * services, "backends": services * cluster.backends,
        "sets": services * (cluster.tiers // 4 + 1),
        "slot-lines": services * (cluster.backends // 16 + 1),
        "counters": services * (2 + cluster.tiers),
    }
    # With room to spare, and never below the defaults.
    at_least = {"services": 32768, "frontends": 65536, "backends": 131072, "sets": 65536,
                "slot-lines": 65536, "counters": 131072}
    return [word for name, count in flags.items()
            for word in (f"--max-{name}", str(max(at_least[name], count + count // 4)))]


def wait_until_ready(agent: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while " ready: " not in log.read_text(encoding="utf-8"):
        if agent.poll() is not None or time.monotonic() > until:
            words = (log.read_text(encoding="utf-8").strip().splitlines() or ["no word"])[-1]
            raise Failed(f"the agent does not get ready: {words}")
        time.sleep(0.05)
