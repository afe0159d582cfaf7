# SPDX-License-Identifier: Apache-2.0
"""The real kube-proxy as a rival, in place of generated rules: where KUBE_PROXY names one, and
KUBEBUILDER_ASSETS the directory of etcd and kube-apiserver."""

import copy
import http.client
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from api_server import SLICES, ApiServer
from cluster import CLUSTER_CIDR, NODE, Cluster
from machine import first_match
from place import Failed, Namespace, Node, Place, end
from rows import Row

PATIENCE_S = 600
METRICS_PORT = 10249
SYNCED = re.compile(
    r'^kubeproxy_sync_proxy_rules_last_timestamp_seconds\{[^}]*IPv4[^}]*\} (\S+)$', re.MULTILINE)
# It takes the tools of the node: the legacy ones are many times faster with so many rules.
LEGACY = ("iptables", "iptables-save", "iptables-restore")
ENDPOINT_CHANGES = 3
ENDPOINT_ELSEWHERE = "10.63.0.1"
MIN_SYNC_PERIOD_S = 1.5  # its own is 1 s


class RealKubeProxy:
    """Makes the rules of clusters, one API server for each; those of one after the other with the
    same cluster share it."""

    def __init__(self, place: Place, namespace: Namespace, address: str, program: Path, assets: Path):
        self._place = place
        self._namespace = namespace
        self._address = address
        self._program = program
        self._assets = assets
        self._api: ApiServer | None = None
        self._cluster: Cluster | None = None
        self._tools = place.directory / "iptables-legacy"
        if not self._tools.is_dir():
            self._make_tools()

    def _make_tools(self) -> None:
        self._tools.mkdir()
        for family in ("iptables", "ip6tables"):
            for tool in LEGACY:
                legacy = tool.replace("iptables", f"{family}-legacy")
                os.symlink(shutil.which(legacy) or legacy,
                           self._tools / tool.replace("iptables", family))

    @classmethod
    def wanted(cls, place: Place, namespace: Namespace, address: str) -> "RealKubeProxy | None":
        program, assets = os.environ.get("KUBE_PROXY"), os.environ.get("KUBEBUILDER_ASSETS")
        if not program:
            return None
        if not assets:
            raise Failed("KUBE_PROXY needs KUBEBUILDER_ASSETS, the directory of etcd and kube-apiserver")
        for path in (Path(program), Path(assets, "etcd"), Path(assets, "kube-apiserver")):
            if not os.access(path, os.X_OK):
                raise Failed(f"{path} is no program")
        if shutil.which("openssl") is None:
            raise Failed("the API server of KUBE_PROXY needs openssl to make its key")
        return cls(place, namespace, address, Path(program), Path(assets))

    def load(self, node: Node, cluster: Cluster, mode: str) -> None:
        """Leaves the rules in the kernel."""
        process, _ = self._make_rules(node, cluster, mode)
        end(process, signal.SIGKILL)

    def measure(self, node: Node, cluster: Cluster, mode: str) -> list[Row]:
        """The same; and what making them took, and changing one endpoint."""
        name = {"suite": "control", "config": mode, "case": "kube-proxy",
                "services": cluster.services, "backends": cluster.backends}
        self._api_of(cluster)
        started = time.monotonic()
        process, synced = self._make_rules(node, cluster, mode)
        rows = [Row({**name, "workload": "cold-start", "stat": "wall"}, "ms",
                    [(time.monotonic() - started) * 1e3]),
                Row({**name, "workload": "cold-start", "stat": "cpu"}, "ms", [cpu_ms(process.pid)])]
        rows += self._change_endpoints(self._api_of(cluster), node, process, cluster, name, synced)
        rows.append(Row({**name, "workload": "cold-start", "stat": "rss"}, "bytes",
                        [resident_bytes(process.pid)]))
        end(process, signal.SIGKILL)
        return rows

    def _make_rules(self, node: Node, cluster: Cluster,
                    mode: str) -> tuple[subprocess.Popen, float]:
        """It still runs; and when it came to an end with them, by its clock."""
        api = self._api_of(cluster)
        api.put_node(cluster, node.address)
        process = self._start(node, api, mode)
        return process, wait_for_sync(node, process, 0.0)

    def stop(self) -> None:
        """Only the rules stay."""
        if self._api is not None:
            self._api.stop()
            self._api = None

    def _api_of(self, cluster: Cluster) -> ApiServer:
        if self._api is None or self._cluster != cluster:
            self.stop()
            self._api = ApiServer(self._place, self._namespace, self._address, self._assets)
            self._api.add_services(cluster)
            self._cluster = cluster
        return self._api

    def _start(self, node: Node, api: ApiServer, mode: str) -> subprocess.Popen:
        log = self._place.directory / f"kube-proxy-{node.name}.log"
        with open(log, "w", encoding="utf-8") as output:
            return self._place.start(
                node.namespace, str(self._program), "--kubeconfig", str(api.kubeconfig()),
                "--proxy-mode", mode, "--cluster-cidr", CLUSTER_CIDR, "--hostname-override", NODE,
                "--nodeport-addresses", "primary", "--conntrack-max-per-core", "0",
                stdout=output, stderr=output,
                env={**os.environ, "PATH": f"{self._tools}:{os.environ['PATH']}"})

    def _change_endpoints(self, api: ApiServer, node: Node, process: subprocess.Popen,
                          cluster: Cluster, name: dict, synced: float) -> list[Row]:
        """There and back, so that the rules are those of the cluster in the end."""
        first = next(cluster.slices(cluster.hot))
        other = copy.deepcopy(first)
        other["endpoints"][0]["addresses"] = [ENDPOINT_ELSEWHERE]
        wall, cpu = [], []
        for endpoint_slice in (other, first) * ENDPOINT_CHANGES:
            time.sleep(MIN_SYNC_PERIOD_S)
            used, started = cpu_ms(process.pid), time.monotonic()
            with api.connection() as connection:
                connection.require("PUT", f"{SLICES}/{first['metadata']['name']}", endpoint_slice)
            synced = wait_for_sync(node, process, synced)
            wall.append((time.monotonic() - started) * 1e3)
            cpu.append(cpu_ms(process.pid) - used)
        return [Row({**name, "workload": "endpoint-change", "stat": stat}, "ms", samples)
                for stat, samples in (("wall", wall), ("cpu", cpu))]


def wait_for_sync(node: Node, process: subprocess.Popen, after: float) -> float:
    """Until all of its state is in the kernel, later than `after`; when that was, by its clock."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        found = SYNCED.search(metrics(node))
        if found and float(found[1]) > after:
            return float(found[1])
        time.sleep(0.02)
    raise Failed(f"kube-proxy of {node.name} does not come to an end with its rules")


def metrics(node: Node) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", METRICS_PORT)
    connection.sock = node.namespace.socket()
    try:
        connection.sock.connect((connection.host, connection.port))
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    except OSError:
        return ""  # not there yet
    finally:
        connection.close()


def cpu_ms(pid: int) -> float:
    """With that of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * 1e3 / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> float:
    return float(first_match(f"/proc/{pid}/status", r"^VmRSS:\s*(\d+) kB")) * 1024
