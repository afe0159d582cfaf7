# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# The demo's cluster as data, and as Kubernetes objects: three zones of two nodes, in two regions.
# Every node but b2 runs a pod of the Service `web`; `web-vm` is a server outside of the cluster, of
# which only the zone is known.

nodes=(a1 a2 b1 b2 c1 c2)
backends=(web-a1 web-a2 web-vm web-b1 web-c1 web-c2)
service_address=10.96.0.10
service_port=80
pod_port=8080

node_keys='"kubernetes.io/hostname", "example.com/rack"'
all_keys="$node_keys, "'"topology.kubernetes.io/zone", "topology.kubernetes.io/region", "*"'

declare -A zone_of=([a1]=zone-a [a2]=zone-a [vm]=zone-a [b1]=zone-b [b2]=zone-b [c1]=zone-c [c2]=zone-c)
declare -A rack_of=([a1]=rack-1 [a2]=rack-1 [b1]=rack-2 [b2]=rack-3 [c1]=rack-4 [c2]=rack-4)
declare -A region_of=([zone-a]=east [zone-b]=east [zone-c]=west)
declare -A number_of=([a1]=1 [a2]=2 [b1]=3 [b2]=4 [c1]=5 [c2]=6)

node_address() { echo "192.168.0.1${number_of[$1]}"; }
pod_subnet() { echo "10.0.${number_of[$1]}"; }
client_address() { echo "$(pod_subnet "$1").20"; }

# backend_address BACKEND
backend_address() {
  if [ "$1" = web-vm ]; then
    echo 192.168.0.100
  else
    echo "$(pod_subnet "${1#web-}").10"
  fi
}

# node_manifest NODE [ZONE RACK]
node_manifest() {
  local zone=${2:-${zone_of[$1]}} rack=${3:-${rack_of[$1]}}
  cat <<YAML
apiVersion: v1
kind: Node
metadata:
  name: $1
  labels:
    kubernetes.io/hostname: $1
    example.com/rack: $rack
    topology.kubernetes.io/zone: $zone
    topology.kubernetes.io/region: ${region_of[$zone]}
YAML
}

# service_manifest [KEYS]
service_manifest() {
  cat <<YAML
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: default
  annotations:
    topolb.io/topology-keys: '${1:+[$1]}'
spec:
  clusterIP: $service_address
  ports:
    - {name: tcp, port: $service_port, targetPort: $pod_port, protocol: TCP}
    - {name: udp, port: $service_port, targetPort: $pod_port, protocol: UDP}
YAML
}

# slice_manifest BACKEND...
slice_manifest() {
  cat <<YAML
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-1
  namespace: default
  labels: {kubernetes.io/service-name: web}
addressType: IPv4
ports:
  - {name: tcp, port: $pod_port, protocol: TCP}
  - {name: udp, port: $pod_port, protocol: UDP}
endpoints:
YAML
  local backend node place
  for backend in "$@"; do
    node=${backend#web-}
    place="zone: ${zone_of[$node]}"
    [ "$node" = vm ] || place+=", nodeName: $node"
    echo "  - {addresses: [$(backend_address "$backend")], $place}"
  done
}
