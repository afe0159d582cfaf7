# SPDX-License-Identifier: Apache-2.0
"""Where a benchmark runs: network namespaces, cgroups and processes of its own.

Namespaces are held by descriptors and processes die with us, so that a run that is killed leaves at
most empty cgroups, pins and a directory of files behind; the next run removes those.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

CLONE_NEWNET = 0x40000000
PREFIX = "topolb-bench-"
BPFFS = Path("/sys/fs/bpf")
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """What went wrong, in one line."""


def cgroup2() -> Path:
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, where, kind = line.split()[:3]
        if kind == "cgroup2":
            return Path(where)
    raise Failed("no cgroup2 is mounted: try 'mount -t cgroup2 none /sys/fs/cgroup'")


def run(*command: str, text: str | None = None) -> str:
    """Its stdout; Failed with the last line of stderr when it fails."""
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        words = (result.stderr.strip().splitlines() or ["no word"])[-1]
        raise Failed(f"{' '.join(command)[:200]}: {words}")
    return result.stdout


def in_thread(work: Callable[[], Any]) -> Any:
    """What `work` returns; a namespace that it enters or makes is only that thread's."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    thread.join()
    return answers[0] if answers else None


class Namespace:
    """A network namespace with loopback up; gone with us and its last process."""

    def __init__(self):
        def make() -> int | None:
            if LIBC.unshare(CLONE_NEWNET) == 0:
                return os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            return None

        made = in_thread(make)
        if made is None:
            raise Failed("cannot make a network namespace (needs root and CONFIG_NET_NS)")
        self.fd = made
        self.run("ip", "link", "set", "lo", "up")

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def run(self, *command: str, text: str | None = None) -> str:
        return run("nsenter", f"--net={self.path}", *command, text=text)

    def shell(self, script: str) -> str:
        return self.run("sh", "-e", "-c", script)

    def socket(self, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """An IPv4 socket of this namespace, for use anywhere."""
        def make() -> socket.socket | None:
            if LIBC.setns(self.fd, CLONE_NEWNET) == 0:
                return socket.socket(socket.AF_INET, kind)
            return None

        made = in_thread(make)
        if made is None:
            raise Failed("cannot enter a network namespace")
        return made

    def close(self) -> None:
        os.close(self.fd)


@dataclass(frozen=True)
class Node:
    """The one whose processes dial, or that forwards."""

    name: str
    namespace: Namespace
    cgroup: Path
    address: str


class Place:
    """A run: use it as a context, everything is gone at its end."""

    def __init__(self):
        self.name = f"{PREFIX}{os.getpid()}"
        self.directory = Path(tempfile.gettempdir(), self.name)
        self.cgroup = cgroup2() / self.name
        self._namespaces: list[Namespace] = []
        self._processes: list[subprocess.Popen] = []

    def __enter__(self) -> "Place":
        remove_dead_runs()
        self.directory.mkdir()
        self.cgroup.mkdir()
        return self

    def __exit__(self, *_) -> None:
        try:
            self.clear()
        finally:
            remove(self.name)

    def clear(self) -> None:
        """Ends and removes all that was made so far, but not the run's directory."""
        for process in self._processes:
            end(process, signal.SIGKILL)
        for namespace in self._namespaces:
            namespace.close()
        self._processes.clear()
        self._namespaces.clear()

    def namespace(self) -> Namespace:
        self._namespaces.append(Namespace())
        return self._namespaces[-1]

    def make_cgroup(self, name: str) -> Path:
        path = self.cgroup / name
        path.mkdir()
        return path

    def pin_path(self, name: str) -> Path:
        return BPFFS / self.name / name

    def start(self, namespace: Namespace, *command: str, **options) -> subprocess.Popen:
        """A process in a namespace, that ends with us."""
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={namespace.path}", *command],
            **options)
        self._processes.append(process)
        return process


def join(left: Namespace, left_device: str, left_address: str,
         right: Namespace, right_device: str, right_address: str) -> None:
    """By a pair of veth devices."""
    left.shell(f"ip link add {left_device} type veth peer name {right_device} netns {right.path}; "
               f"ip address add {left_address}/24 dev {left_device}; ip link set {left_device} up")
    right.shell(f"ip address add {right_address}/24 dev {right_device}; "
                f"ip link set {right_device} up")


def make_node(place: Place, server: Namespace, name: str, number: int) -> Node:
    """A node that reaches the server by its default route. Numbers: 1 to 254."""
    namespace = place.namespace()
    server_end, address = f"10.64.{number}.1", f"10.64.{number}.2"
    join(server, f"node{number}", server_end, namespace, "eth0", address)
    namespace.shell(f"ip route add default via {server_end}; "
                    "echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save")
    return Node(name, namespace, place.make_cgroup(name), address)


def end(process: subprocess.Popen, signal_number: int) -> None:
    if process.poll() is None:
        process.send_signal(signal_number)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # an order that was not sent yet
                stream.close()


def remove_dead_runs() -> None:
    names = {path.name for parent in (Path(tempfile.gettempdir()), cgroup2(), BPFFS)
             for path in parent.glob(f"{PREFIX}*")}
    for name in names:
        if not Path("/proc", name.removeprefix(PREFIX)).exists():
            remove(name)


def remove(name: str) -> None:
    for directory in (BPFFS / name, Path(tempfile.gettempdir(), name)):
        if directory.exists():
            shutil.rmtree(directory)
    top = cgroup2() / name
    if top.exists():
        for path in sorted(top.rglob("*/"), reverse=True):
            remove_cgroup(path)
        remove_cgroup(top)


def remove_cgroup(path: Path) -> None:
    # A process that was killed takes a moment to leave.
    for _ in range(500):
        try:
            path.rmdir()
            return
        except OSError as error:
            failed = error
            time.sleep(0.02)
    raise Failed(f"cannot remove cgroup {path}: {failed}")
