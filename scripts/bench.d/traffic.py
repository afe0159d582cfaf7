# SPDX-License-Identifier: Apache-2.0
"""Clients that take turns: everything that is compared does its part in every round."""

import random
import socket
import subprocess
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Sequence

from cluster import TARGET_PORT
from place import Failed, Namespace, Node, Place
from rows import POOLED, Row

BACKLOG = 4096
IP_PKTINFO = 8  # of linux/in.h; Python has no name for it

@dataclass(frozen=True)
class Effort:
    """How much is done: a turn ends after so many operations or so much time."""

    rounds: int
    operations: int
    milliseconds: int


class Server:
    """Sockets in a namespace, on every address. Each client process answers itself on them, in its
    turn: nobody has to be woken, and all happens on one CPU."""

    def __init__(self, namespace: Namespace):
        self.listener = namespace.socket(socket.SOCK_STREAM)
        self.datagrams = namespace.socket(socket.SOCK_DGRAM)
        self.datagrams.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        for server in (self.listener, self.datagrams):
            server.bind(("0.0.0.0", TARGET_PORT))
            server.setblocking(False)
        self.listener.listen(BACKLOG)

    @property
    def descriptors(self) -> tuple[int, int]:
        return self.listener.fileno(), self.datagrams.fileno()


@dataclass(frozen=True)
class Measured:
    """A turn, in ns; `cpu`: of an operation; the latencies are sorted."""

    cpu: int
    elapsed: int
    latencies: list[int]

    def stats(self) -> dict[str, float]:
        return {"p50": quantile(self.latencies, 0.5) / 1e3, "p99": quantile(self.latencies, 0.99) / 1e3,
                "cpu": self.cpu / 1e3, "rate": len(self.latencies) / self.elapsed * 1e9}


def quantile(in_order: Sequence[int], part: float) -> int:
    return in_order[int(part * (len(in_order) - 1))]


class Client:
    """A process in a namespace and cgroup that obeys lines. `targets`: addresses with ports, by the
    name that turns use. `cpu` None: wherever the kernel likes."""

    def __init__(self, place: Place, node: Node, program: Path, server: Server, cpu: int | None,
                 targets: dict[str, list[str]]):
        self._name = node.name
        self._targets = list(targets)
        files = []
        for target, addresses in targets.items():
            path = place.directory / f"targets-{node.name}-{target}"
            path.write_text("\n".join(addresses) + "\n", encoding="utf-8")
            files.append(str(path))
        pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
        self._process = place.start(
            node.namespace, *pin, "sh", "-e", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"',
            str(node.cgroup), str(program), *map(str, server.descriptors), *files,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            pass_fds=server.descriptors)
        self._read()  # it has read its targets

    def _read(self) -> str:
        answer = self._process.stdout.readline().strip()
        if not answer or answer.startswith("failed"):
            raise Failed(f"client {self._name}: {answer or 'ended'}")
        return answer

    def _ask(self, line: str) -> str:
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise Failed(f"client {self._name}: ended") from error
        return self._read()

    def work(self, workload: str, target: str, effort: Effort, threads: int) -> Measured:
        answer = self._ask(f"{workload} {self._targets.index(target)} {effort.operations} "
                           f"{effort.milliseconds} {threads}")
        cpu, elapsed, *latencies = map(int, answer.split())
        return Measured(cpu, elapsed, sorted(latencies))


@dataclass
class Turn:
    """`name`: the fields of its rows but workload and stat."""

    client: Client
    workload: str
    target: str
    name: dict[str, Any]
    threads: int = 1
    rows: dict[str, Row] = field(default_factory=dict)
    latencies: array = field(default_factory=lambda: array("Q"))

    def __post_init__(self) -> None:
        stats = {"rate": "per-second", "cpu": "us"} if self.threads > 1 else {"p50": "us", "p99": "us"}
        self.rows = {stat: self._row(stat, unit) for stat, unit in stats.items()}

    def _row(self, stat: str, unit: str) -> Row:
        return Row({**self.name, "workload": self.workload, "stat": stat}, unit)

    def take(self, effort: Effort, counted: bool) -> None:
        try:
            measured = self.client.work(self.workload, self.target, effort, self.threads)
        except Failed as error:
            raise Failed(f"{error} ({self.workload})") from error
        if not counted:
            return
        stats = measured.stats()
        for stat, row in self.rows.items():
            row.samples.append(round(stats[stat], 3))
        if self.threads == 1:
            self.latencies.extend(measured.latencies)

    def finish(self) -> list[Row]:
        """With what only all rounds together tell."""
        rows = list(self.rows.values())
        if self.latencies:
            row = self._row(POOLED, "us")
            row.samples.append(round(quantile(sorted(self.latencies), 0.99) / 1e3, 3))
            rows.append(row)
        return rows


def take_turns(turns: list[Turn], effort: Effort, tell: Callable[[str], None]) -> list[Row]:
    """Rounds of every turn, each in an order of its own, after one that warms up. What is compared,
    turns of one workload, comes within a second or two: the machine is another one ten seconds later."""
    order = random.Random(1)
    compared: dict[tuple, list[Turn]] = {}
    for turn in turns:
        compared.setdefault((turn.workload, turn.name["heat"], turn.threads), []).append(turn)
    for number in range(effort.rounds + 1):
        tell(f"round {number} of {effort.rounds}, {len(turns)} turns")
        for group in order.sample(list(compared.values()), len(compared)):
            for turn in order.sample(group, len(group)):
                turn.take(effort, counted=number > 0)
    return [row for turn in turns for row in turn.finish()]
