# SPDX-License-Identifier: Apache-2.0
"""How it was run: no figure without it."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path


def first_match(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].strip() if found else "unknown"


MITIGATIONS = {  # file, what it says, and what that means here
    ("spec_rstack_overflow", "Safe RET"): "returns by Safe RET",
    ("spec_rstack_overflow", "IBPB"): "returns by IBPB",
    ("meltdown", "PTI"): "isolated page tables",
}


def mitigations() -> list[str]:
    """What the kernel does against attacks, where it costs calls of functions, or of the system."""
    known = Path("/sys/devices/system/cpu/vulnerabilities")
    return [meaning for (name, says), meaning in MITIGATIONS.items()
            if (known / name).exists() and says in (known / name).read_text(encoding="utf-8")]


def version(*command: str) -> str:
    """The first line that it prints, or why there is none."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except OSError as error:
        return error.strerror
    lines = (result.stdout or result.stderr).strip().splitlines()
    return lines[0] if lines and result.returncode == 0 else "unknown"


def describe(cli: Path, root: Path) -> dict:
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "kernel": platform.release().split("-")[0],
        "cpu": first_match("/proc/cpuinfo", r"^model name\s*:\s*(.*)$"),
        "mitigations": mitigations(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory": first_match("/proc/meminfo", r"^MemTotal:\s*(.*)$"),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "virtual": "hypervisor" in first_match("/proc/cpuinfo", r"^flags\s*:\s*(.*)$").split(),
        "versions": {
            "topolb": version(str(cli), "version"),
            "commit": version("git", "-C", str(root), "describe", "--always", "--dirty"),
            "clang": version("clang", "--version"),
            "nft": version("nft", "--version"),
            "iptables": version("iptables-legacy", "--version"),
        },
    }


def line(run: dict) -> str:
    """For people, before the tables."""
    machine = run["machine"]
    virtual = "virtual machine, " if machine["virtual"] else ""
    quick = "quick run, few rounds; " if run["quick"] else ""
    cpu = ", ".join([machine["cpu"], *machine.get("mitigations", [])])
    return (f"{quick}{machine['date'][:10]}, commit {machine['versions']['commit']}: {virtual}"
            f"{machine['cpus']} CPUs ({cpu}), Linux {machine['kernel']}; "
            f"load average {machine['load']} at the start")


def lines(suites: dict[str, dict]) -> list[str]:
    """One for all suites that ran in one command."""
    found: dict[str, list[str]] = {}
    for suite, run in suites.items():
        found.setdefault(line(run), []).append(suite)
    if len(found) == 1:
        return list(found)
    return [f"{', '.join(names)}: {text}" for text, names in found.items()]
