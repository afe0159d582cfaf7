# SPDX-License-Identifier: Apache-2.0
"""A real API server, and the real kube-proxy as a rival: only where KUBE_PROXY names one, and
KUBEBUILDER_ASSETS the directory of etcd and kube-apiserver."""

import http.client
import json
import queue
import ssl
import threading
import time
from pathlib import Path

from cluster import SERVICE_CIDR, Cluster
from place import Failed, Namespace, Place, run

TOKEN = "bench-admin"
PORT = 6443
WRITERS = 8
PATIENCE_S = 900  # of everything here; 10,000 Services in iptables mode take minutes


class Connection(http.client.HTTPSConnection):
    """To the API server, from inside its namespace."""

    def __init__(self, namespace: Namespace, address: str, authority: Path):
        super().__init__(address, PORT, timeout=60,
                         context=ssl.create_default_context(cafile=authority))
        self._namespace = namespace

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def connect(self) -> None:
        plain = self._namespace.socket()
        plain.settimeout(self.timeout)
        plain.connect((self.host, self.port))
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)

    def send_object(self, method: str, path: str, body: dict | None = None) -> tuple[int, str]:
        self.request(method, path, None if body is None else json.dumps(body),
                     {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
        response = self.getresponse()
        return response.status, response.read().decode()

    def create(self, collection: str, body: dict) -> None:
        status, words = self.send_object("POST", collection, body)
        if status not in (201, 409):
            raise Failed(f"the API server refuses {body['metadata']['name']}: {words[:300]}")


class ApiServer:
    """In a namespace whose `address` the nodes reach."""

    def __init__(self, place: Place, namespace: Namespace, address: str, assets: Path):
        self._namespace = namespace
        self._address = address
        self._directory = place.directory / "api"
        self._directory.mkdir()
        self._make_keys()
        etcd = "http://127.0.0.1:2379"
        self._start(place, assets / "etcd", "--data-dir", str(self._directory / "etcd"),
                    "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
                    "--listen-peer-urls", "http://127.0.0.1:2380", "--unsafe-no-fsync")
        self._start(
            place, assets / "kube-apiserver", f"--etcd-servers={etcd}", f"--secure-port={PORT}",
            f"--bind-address={address}", f"--tls-cert-file={self._directory / 'server.crt'}",
            f"--tls-private-key-file={self._directory / 'server.key'}",
            f"--token-auth-file={self._directory / 'tokens.csv'}", "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._directory / 'server.key'}",
            f"--service-account-signing-key-file={self._directory / 'server.key'}",
            "--disable-admission-plugins=ServiceAccount", "--max-mutating-requests-inflight=1000")
        self._wait()

    def _start(self, place: Place, program: Path, *arguments: str) -> None:
        with open(self._directory / f"{program.name}.log", "w", encoding="utf-8") as log:
            place.start(self._namespace, str(program), *arguments, stdout=log, stderr=log)

    def _make_keys(self) -> None:
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            "-subj", "/CN=bench", "-addext", f"subjectAltName=IP:{self._address}",
            "-keyout", str(self._directory / "server.key"),
            "-out", str(self._directory / "server.crt"))
        (self._directory / "tokens.csv").write_text(f"{TOKEN},admin,1,system:masters\n")

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                with self.connection() as api:
                    if api.send_object("GET", "/api/v1/namespaces/default")[0] == 200:
                        return
            except OSError:
                pass
            time.sleep(0.5)
        raise Failed(f"kube-apiserver does not get ready (log: {self._directory})")

    def connection(self) -> "Connection":
        return Connection(self._namespace, self._address, self._directory / "server.crt")

    def kubeconfig(self) -> Path:
        path = self._directory / "kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {
                "server": f"https://{self._address}:{PORT}",
                "certificate-authority": str(self._directory / "server.crt")}}],
            "users": [{"name": "bench", "user": {"token": TOKEN}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}]}))
        return path

    def add_node(self, name: str, address: str) -> None:
        with self.connection() as api:
            api.create("/api/v1/nodes", {
                "apiVersion": "v1", "kind": "Node", "metadata": {
                    "name": name, "labels": {"kubernetes.io/hostname": name}},
                "status": {"addresses": [{"type": "InternalIP", "address": address}]}})

    def add_services(self, cluster: Cluster, numbers: range) -> None:
        """By several connections at once; raises what the first one met that failed."""
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in numbers:
            waiting.put(number)
        failed: list[Exception] = []

        def write():
            try:
                with self.connection() as api:
                    while not failed:
                        number = waiting.get_nowait()
                        api.create("/api/v1/namespaces/default/services", cluster.service(number))
                        for endpoint_slice in cluster.slices(number):
                            api.create(
                                "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
                                endpoint_slice)
            except queue.Empty:
                pass
            except (OSError, http.client.HTTPException, Failed) as error:
                failed.append(error)

        threads = [threading.Thread(target=write) for _ in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise Failed(f"write to the API server: {failed[0]}")
