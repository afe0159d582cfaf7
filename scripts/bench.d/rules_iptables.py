# SPDX-License-Identifier: Apache-2.0
"""The rules that kube-proxy of Kubernetes 1.36 makes in iptables mode, see rules_nftables.py.

With --nodeport-addresses=primary, which saves a look at the routes. Its counters of nfacct, which it
makes where the kernel has them, are left out.
"""

from typing import Iterator

from cluster import CLUSTER_CIDR, PORT, TARGET_PORT, Cluster
from place import Namespace
from rules_nftables import owner_of_chains

MARK = "0x4000/0x4000"

FILTER = f"""*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -j KUBE-FIREWALL
-A INPUT -m conntrack --ctstate NEW -m comment --comment "firewall" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "health check ports" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment "external" -j KUBE-EXTERNAL-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "firewall" -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment "forwarding" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "services" -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "external" -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -j KUBE-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "firewall" -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "services" -j KUBE-SERVICES
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "forwarding" -m mark --mark {MARK} -j ACCEPT
-A KUBE-FORWARD -m comment --comment "known" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*mangle
:KUBE-PROXY-CANARY - [0:0]
COMMIT
"""

NAT = f"""*nat
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "services" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "services" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "postrouting" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark {MARK}
-A KUBE-POSTROUTING -m mark ! --mark {MARK} -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "masquerade" -j MASQUERADE --random-fully
"""


def load(namespace: Namespace, cluster: Cluster, node_address: str, chains: int) -> None:
    """As rules_nftables.load. By the legacy tool: that of nf_tables takes minutes for 10,000 Services,
    and a packet takes longer through its rules."""
    text = FILTER + NAT + "\n".join(nat_rules(cluster, node_address, chains)) + "\nCOMMIT\n"
    namespace.run("iptables-legacy-restore", "--noflush", text=text)


def nat_rules(cluster: Cluster, node_address: str, chains: int) -> Iterator[str]:
    node_port_rules = []
    for number in cluster.numbers:
        owner = owner_of_chains(cluster, number, chains)
        protocol = cluster.protocol(number).lower()
        if owner == number:
            yield from service_chains(cluster, number)
        port = f"-p {protocol} -m comment --comment \"{comment(cluster, number)}\" -m {protocol}"
        yield (f"-A KUBE-SERVICES -d {cluster.address(number)}/32 {port} --dport {PORT} "
               f"-j {chain('SVC', owner)}")
        node_port = cluster.node_port(number)
        if node_port is not None:
            node_port_rules.append(
                f"-A KUBE-NODEPORTS {port} --dport {node_port} -j {chain('EXT', owner)}")
    yield from node_port_rules
    yield (f"-A KUBE-SERVICES -d {node_address}/32 -m comment --comment \"last\" "
           "-j KUBE-NODEPORTS")


def service_chains(cluster: Cluster, number: int) -> Iterator[str]:
    protocol = cluster.protocol(number).lower()
    service, about = chain("SVC", number), f"-m comment --comment \"{comment(cluster, number)}\""
    yield f":{service} - [0:0]"
    yield (f"-A {service} ! -s {CLUSTER_CIDR} -d {cluster.address(number)}/32 -p {protocol} {about} "
           f"-m {protocol} --dport {PORT} -j KUBE-MARK-MASQ")
    if cluster.node_port(number) is not None:
        yield f":{chain('EXT', number)} - [0:0]"
        yield f"-A {chain('EXT', number)} {about} -j KUBE-MARK-MASQ"
        yield f"-A {chain('EXT', number)} -j {service}"
    endpoints = cluster.endpoints(number)
    for i, address in enumerate(endpoints):
        endpoint = chain("SEP", number * cluster.backends + i)
        left = len(endpoints) - i
        chance = f"-m statistic --mode random --probability {1 / left:.11f} " if left > 1 else ""
        yield f":{endpoint} - [0:0]"
        yield f"-A {endpoint} -s {address}/32 {about} -j KUBE-MARK-MASQ"
        yield (f"-A {endpoint} -p {protocol} {about} -m {protocol} "
               f"-j DNAT --to-destination {address}:{TARGET_PORT}")
        yield f"-A {service} {about} {chance}-j {endpoint}"


def chain(kind: str, number: int) -> str:
    """Of the length that a hash gives it."""
    return f"KUBE-{kind}-{number:016}"


def comment(cluster: Cluster, number: int) -> str:
    return f"default/{cluster.name(number)}:p"
