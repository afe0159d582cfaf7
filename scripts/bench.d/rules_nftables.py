# SPDX-License-Identifier: Apache-2.0
"""The rules that kube-proxy of Kubernetes 1.36 makes in nftables mode.

For ready endpoints, without affinity, source ranges or traffic policies, with --cluster-cidr. Only the
hashes in the names differ. tests/bench/rules_test.py holds the layout against a description of the real
one, tests/bench/kube_proxy_layout.json.
"""

from typing import Iterator

from cluster import CLUSTER_CIDR, PORT, SERVICE_CIDR, TARGET_PORT, Cluster
from place import Namespace

MARK = "0x4000"
# The kernel compares each new map without a name with all that are there: the time grows with their
# square, and smaller or larger transactions take more of it.
SERVICES_IN_A_TRANSACTION = 1000

FRAME = f"""
table ip kube-proxy {{
  set hairpin-connections {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service; }}
  set cluster-ips {{ type ipv4_addr; }}
  set nodeport-ips {{ type ipv4_addr; }}
  map no-endpoint-services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map no-endpoint-nodeports {{ type inet_proto . inet_service : verdict; }}
  map firewall-ips {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map service-ips {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map service-nodeports {{ type inet_proto . inet_service : verdict; }}
  chain nodeport-endpoints-check {{
    ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
  }}
  chain service-endpoints-check {{
    ip daddr . meta l4proto . th dport vmap @no-endpoint-services
  }}
  chain firewall-check {{ ip daddr . meta l4proto . th dport vmap @firewall-ips; }}
  chain cluster-ips-check {{
    ip daddr @cluster-ips reject
    ip daddr {SERVICE_CIDR} drop
  }}
  chain reject-chain {{ reject; }}
  chain services {{
    ip daddr @cluster-ips ip saddr != {CLUSTER_CIDR} meta mark set meta mark or {MARK}
    ip daddr . meta l4proto . th dport vmap @service-ips
    ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
  }}
  chain masquerading {{
    meta mark & {MARK} != 0 meta mark set meta mark xor {MARK} masquerade fully-random
    ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random
  }}
  chain filter-prerouting-pre-dnat {{
    type filter hook prerouting priority dstnat - 10; policy accept;
    ct state new jump firewall-check
  }}
  chain filter-output-pre-dnat {{
    type filter hook output priority -110; policy accept;
    ct state new jump firewall-check
  }}
  chain filter-input {{
    type filter hook input priority filter; policy accept;
    ct state new jump nodeport-endpoints-check
    ct state new jump service-endpoints-check
  }}
  chain filter-forward {{
    type filter hook forward priority filter; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }}
  chain filter-output {{
    type filter hook output priority filter; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }}
  chain nat-prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    jump services
  }}
  chain nat-output {{
    type nat hook output priority -100; policy accept;
    jump services
  }}
  chain nat-postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    jump masquerading
  }}
}}
"""


def load(namespace: Namespace, cluster: Cluster, node_address: str, chains: int) -> None:
    """`chains`: so many Services, and the two that are hot, have chains of their own; the others lead
    to those of the first ones, which costs a connection no more, and loads where a chain for each
    would take hours."""
    namespace.run("nft", "-f", "-", text=FRAME)
    elements = f"add element ip kube-proxy nodeport-ips {{ {node_address} }}"
    namespace.run("nft", "-f", "-", text=elements)
    for first in cluster.numbers[::SERVICES_IN_A_TRANSACTION]:
        numbers = cluster.numbers[first:first + SERVICES_IN_A_TRANSACTION]
        namespace.run("nft", "-f", "-", text="\n".join(transaction(cluster, numbers, chains)))


def transaction(cluster: Cluster, numbers: range, chains: int) -> Iterator[str]:
    """Its lines."""
    elements: dict[str, list[str]] = {name: [] for name in (
        "cluster-ips", "service-ips", "service-nodeports", "hairpin-connections")}
    for number in numbers:
        owner = owner_of_chains(cluster, number, chains)
        protocol = cluster.protocol(number).lower()
        suffix = f"{owner:08}-default/{cluster.name(owner)}/{protocol}/p"
        target = f"{protocol} . {PORT} : goto service-{suffix}"
        elements["cluster-ips"].append(cluster.address(number))
        elements["service-ips"].append(f"{cluster.address(number)} . {target}")
        node_port = cluster.node_port(number)
        if node_port is not None:
            elements["service-nodeports"].append(
                f"{protocol} . {node_port} : goto external-{suffix}")
        if cluster.is_local(number):
            elements["hairpin-connections"] += [
                f"{address} . {address} . {protocol} . {TARGET_PORT}"
                for address in cluster.endpoints(number)]
        if owner == number:
            yield from service_chains(cluster, number, suffix)
    for name, members in elements.items():
        if members:
            yield f"add element ip kube-proxy {name} {{ {', '.join(members)} }}"


def owner_of_chains(cluster: Cluster, number: int, chains: int) -> int:
    return number if number in (cluster.hot, cluster.udp) else number % chains


def service_chains(cluster: Cluster, number: int, suffix: str) -> Iterator[str]:
    protocol = cluster.protocol(number).lower()
    endpoints = cluster.endpoints(number)
    choices = ", ".join(f"{i} : {address} . {TARGET_PORT}" for i, address in enumerate(endpoints))
    yield f"add chain ip kube-proxy service-{suffix}"
    yield (f"add rule ip kube-proxy service-{suffix} meta l4proto {protocol} "
           f"dnat ip to numgen random mod {len(endpoints)} map {{ {choices} }}")
    if cluster.node_port(number) is not None:
        yield f"add chain ip kube-proxy external-{suffix}"
        yield f"add rule ip kube-proxy external-{suffix} meta mark set meta mark or {MARK}"
        yield f"add rule ip kube-proxy external-{suffix} goto service-{suffix}"
