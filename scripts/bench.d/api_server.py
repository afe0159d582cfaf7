# SPDX-License-Identifier: Apache-2.0
"""A real API server, for the real kube-proxy as a rival."""

import http.client
import json
import queue
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from cluster import NODE, SERVICE_CIDR, Cluster
from place import Failed, Namespace, Place, end, run

TOKEN = "bench-admin"
PORT = 6443
WRITERS = 8
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


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
        # Else what follows the head of a request waits 40 ms for the server's word that it has that.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.connect((self.host, self.port))
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)

    def ask(self, method: str, path: str, body: dict | None = None) -> int:
        """The status."""
        self.request(method, path, None if body is None else json.dumps(body),
                     {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
        response = self.getresponse()
        response.read()
        return response.status

    def require(self, method: str, path: str, body: dict) -> None:
        status = self.ask(method, path, body)
        if status not in (200, 201):
            raise Failed(f"{method} {path} {body['metadata']['name']}: status {status}")


class ApiServer:
    """etcd and kube-apiserver in a namespace, on an address that the nodes reach."""

    def __init__(self, place: Place, namespace: Namespace, address: str, assets: Path):
        self._namespace = namespace
        self._address = address
        self._directory = Path(tempfile.mkdtemp(prefix="api-", dir=place.directory))
        self._processes: list[subprocess.Popen] = []
        self._make_keys()
        etcd = "http://127.0.0.1:2379"
        self._start(place, assets / "etcd", "--data-dir", str(self._directory / "etcd"),
                    "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
                    "--listen-peer-urls", "http://127.0.0.1:2380", "--unsafe-no-fsync")
        key = self._directory / "server.key"
        self._start(
            place, assets / "kube-apiserver", f"--etcd-servers={etcd}", f"--secure-port={PORT}",
            f"--bind-address={address}", f"--tls-cert-file={self._directory / 'server.crt'}",
            f"--tls-private-key-file={key}", "--authorization-mode=RBAC",
            f"--token-auth-file={self._directory / 'tokens.csv'}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--disable-admission-plugins=ServiceAccount")
        self._wait()

    def _start(self, place: Place, program: Path, *arguments: str) -> None:
        with open(self._directory / f"{program.name}.log", "w", encoding="utf-8") as log:
            self._processes.append(place.start(self._namespace, str(program), *arguments,
                                               stdout=log, stderr=log))

    def _make_keys(self) -> None:
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            "-subj", "/CN=bench", "-addext", f"subjectAltName=IP:{self._address}",
            "-keyout", str(self._directory / "server.key"),
            "-out", str(self._directory / "server.crt"))
        (self._directory / "tokens.csv").write_text(f"{TOKEN},admin,1,system:masters\n")

    def _wait(self) -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                with self.connection() as api:
                    if api.ask("GET", "/api/v1/namespaces/default") == 200:
                        return
            except OSError:
                pass
            time.sleep(0.5)
        raise Failed("kube-apiserver does not get ready")

    def stop(self) -> None:
        for process in reversed(self._processes):
            end(process, signal.SIGKILL)

    def connection(self) -> Connection:
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

    def put_node(self, cluster: Cluster, address: str) -> None:
        node = cluster.node_object(NODE, address)
        with self.connection() as api:
            if api.ask("POST", "/api/v1/nodes", node) == 409:
                api.require("PUT", f"/api/v1/nodes/{NODE}/status", node)

    def add_services(self, cluster: Cluster) -> None:
        """By several connections at once; raises what the first one met that failed."""
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in cluster.numbers:
            waiting.put(number)
        failed: list[Exception] = []

        def write() -> None:
            try:
                with self.connection() as api:
                    while not failed:
                        number = waiting.get_nowait()
                        api.require("POST", SERVICES, cluster.service(number))
                        for endpoint_slice in cluster.slices(number):
                            api.require("POST", SLICES, endpoint_slice)
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
