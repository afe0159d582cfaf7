# SPDX-License-Identifier: Apache-2.0
"""Describes the rules that are loaded in a namespace, in words and without the names that hold hashes:
what kube-proxy makes and what is generated in its place can be compared."""

import json
import re
import shlex
from typing import Any

from place import Namespace

HASHED = re.compile(r"^(service|external)-[0-9A-Z]{8}-")
FIELDS = {"daddr": "destination", "saddr": "source", "dport": "port", "l4proto": "protocol",
          "mark": "mark", "state": "connection", "status": "connection"}


# nftables, from what nft prints as JSON

def describe_nftables(namespace: Namespace) -> dict[str, Any]:
    """Chains with their hooks and rules, sets and maps with their elements, of IPv4."""
    chains: dict[str, dict] = {}
    sets: dict[str, dict] = {}
    for entry in json.loads(namespace.run("nft", "-j", "list", "table", "ip", "kube-proxy"))["nftables"]:
        (kind, facts), = entry.items()
        if kind == "chain":
            hook = (f"{facts['type']} at {facts['hook']}, priority {facts['prio']}"
                    if "hook" in facts else "none")
            chains[plain_name(facts["name"])] = {"hook": hook, "rules": []}
        elif kind in ("set", "map"):
            sets[facts["name"]] = {"key": words(facts["type"]), "elements": sorted(
                map(describe_element, facts.get("elem", [])))}
        elif kind == "rule":
            chains[plain_name(facts["chain"])]["rules"].append(
                ", ".join(describe_statement(statement) for statement in facts["expr"]))
    return {"chains": dict(sorted(chains.items())), "sets": dict(sorted(sets.items()))}


def plain_name(name: str) -> str:
    return HASHED.sub(r"\1 of ", name)


def describe_element(element: Any) -> str:
    if isinstance(element, list):
        key, verdict = element
        return f"{words(key)}: {describe_statement(verdict)}"
    return words(element)


def describe_statement(statement: dict) -> str:
    (kind, facts), = statement.items()
    if kind == "match":
        right = words(facts["right"])
        if right.startswith("@"):
            return f"{words(facts['left'])} in {right[1:]}"
        relation = "is not" if facts["op"] == "!=" else "is"
        return f"{words(facts['left'])} {relation} {right}"
    if kind == "vmap":
        return f"look up {words(facts['key'])} in {facts['data'].removeprefix('@')}"
    if kind in ("jump", "goto"):
        return f"{'call' if kind == 'jump' else 'go on in'} {plain_name(facts['target'])}"
    if kind == "mangle":
        return f"{words(facts['key'])} becomes {words(facts['value'])}"
    if kind == "dnat":
        choices = facts["addr"]["map"]
        targets = " or ".join(words(target) for _, target in choices["data"]["set"])
        return f"translate to {words(choices['key'])}: {targets}"
    return f"{kind} {words(facts)}" if kind == "masquerade" else kind


def words(value: Any) -> str:
    if isinstance(value, list):
        return " + ".join(words(part) for part in value)
    if not isinstance(value, dict):
        return str(value)
    (kind, facts), = value.items()
    if kind == "concat":
        return words(facts)
    if kind in ("payload", "meta", "ct"):
        return FIELDS[facts.get("field", facts.get("key"))]
    if kind == "prefix":
        return f"{facts['addr']}/{facts['len']}"
    if kind == "numgen":
        return f"a {facts['mode']} one of {facts['mod']}"
    if kind in ("&", "|", "^"):
        names = {"&": "and", "|": "or", "^": "xor"}
        return f"{words(facts[0])} {names[kind]} {facts[1]:#x}"
    return words(facts)


# iptables, from what iptables-save prints

OPTIONS = {"-p": "protocol", "-d": "destination", "-s": "source", "--dport": "port",
           "--ctstate": "connection", "--mark": "mark", "--probability": "by chance",
           "--to-destination": "to", "--set-xmark": "xor"}
FLAGS = {"--random-fully": "at random ports"}
IGNORED = {"-m", "--comment", "--mode", "--nfacct-name"}  # with what follows
OWN_CHAINS = re.compile(r"^KUBE-(SVC|SEP|EXT)-")


def describe_iptables(namespace: Namespace, save: str) -> dict[str, Any]:
    """By table: its chains with their rules. Chains of a Service or endpoint are written out where
    they are called. The rules for Services are sorted: kube-proxy makes them in any order."""
    tables: dict[str, dict[str, list[str]]] = {}
    chains: dict[str, list[str]] = {}
    for line in namespace.run(save).splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:], {})
        elif line.startswith(":"):
            chains[line[1:].split()[0]] = []
        elif line.startswith("-A "):
            name, rule = line[3:].split(maxsplit=1)
            chains[name].append(rule)
    return {table: {name: describe_chain(name, chains) for name in sorted(chains)
                    if not OWN_CHAINS.match(name)}
            for table, chains in sorted(tables.items())}


def describe_chain(name: str, chains: dict[str, list[str]]) -> list[Any]:
    rules = [describe_rule(rule, chains) for rule in chains[name]]
    if name not in ("KUBE-SERVICES", "KUBE-NODEPORTS"):
        return rules
    return sorted(rules, key=lambda rule: (isinstance(rule, str), json.dumps(rule)))


def describe_rule(rule: str, chains: dict[str, list[str]]) -> Any:
    """Text; or [text, rules of the chain that it calls]."""
    parts = []
    tokens = iter(shlex.split(rule))
    negated = ""
    for token in tokens:
        if token == "!":
            negated = "not "
        elif token in IGNORED:
            next(tokens)
        elif token in FLAGS:
            parts.append(FLAGS[token])
        elif token in OPTIONS:
            parts.append(f"{OPTIONS[token]} {negated}{next(tokens)}")
            negated = ""
        elif token == "-j":
            target = next(tokens)
            if OWN_CHAINS.match(target):
                kind = target.split("-")[1]
                return [", ".join([*parts, f"call {kind}"]), describe_chain(target, chains)]
            parts.append(f"call {target}")
        else:
            parts.append(f"unknown {token}")
    return ", ".join(parts)
