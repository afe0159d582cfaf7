# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Namespaces, cgroups, agents and pods of one run. Their names begin with the run's, which carries
# the process id, so that runs do not clash and cleanup.sh finds all of it by the name.
#   fabric            a bridge that joins the nodes (192.168.0.0/24), and the server outside
#   NODE              eth0 in the fabric; a bridge for its pods (10.0.N.0/24); the agent
#   web-NODE          the backend's pod       client-NODE   the client's pod
# One cgroup per node holds its agent and its pods, as a node's root cgroup would.

run_name=topolb-demo-$$
state=/run/$run_name
manifests=$state/manifests
cgroups=$(find_cgroup2)/$run_name
pins=/sys/fs/bpf/$run_name
declare -A agent_pid

# What the network takes beside namespaces.
require_devices() {
  local answer
  answer=$(unshare --net ip link add name br0 type bridge 2>&1) ||
    missing "cannot create a bridge: ${answer%%$'\n'*} (needs CONFIG_BRIDGE)"
  answer=$(unshare --net ip link add name a type veth peer name b 2>&1) ||
    missing "cannot create a veth pair: ${answer%%$'\n'*} (needs CONFIG_VETH)"
}

# configure NAMESPACE: runs the ip commands of stdin in it.
configure() {
  local answer
  answer=$(ip -n "$run_name-$1" -batch - 2>&1) || fail "cannot set up namespace $1: $answer"
}

# add_namespace NAMESPACE [UPLINK PEER_NAMESPACE]: UPLINK is the name of its eth0 at the other end.
add_namespace() {
  local answer
  answer=$(ip netns add "$run_name-$1" 2>&1) || fail "cannot create namespace $1: $answer"
  configure "$1" <<<'link set lo up'
  (($# == 1)) || configure "$1" <<<"link add eth0 type veth peer name $2 netns $run_name-$3"
}

add_fabric() {
  add_namespace fabric
  configure fabric <<<'link add br0 type bridge
    link set br0 up'
  add_namespace web-vm vm fabric
  configure fabric <<<'link set vm master br0 up'
  configure web-vm <<<"address add $(backend_address web-vm)/24 dev eth0
    link set eth0 up"
}

# Routes to the pods of all nodes but NODE (web-vm: to all).
routes_without() {
  local other
  for other in "${nodes[@]}"; do
    [ "$other" = "$1" ] || echo "route add $(pod_subnet "$other").0/24 via $(node_address "$other")"
  done
}

add_node() {
  local node=$1
  mkdir -- "$cgroups/$node" || fail "cannot create cgroup $cgroups/$node"
  add_namespace "$node" "$node" fabric
  configure fabric <<<"link set $node master br0 up"
  configure "$node" <<<"address add $(node_address "$node")/24 dev eth0
    link set eth0 up
    link add pods type bridge
    address add $(pod_subnet "$node").1/24 dev pods
    link set pods up
    $(routes_without "$node")"
  in_namespace "$node" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' ||
    fail "cannot make node $node forward packets"
  add_pod "$node" "client-$node" client "$(client_address "$node")"
}

# add_pod NODE NAMESPACE UPLINK ADDRESS
add_pod() {
  add_namespace "$2" "$3" "$1"
  configure "$1" <<<"link set $3 master pods up"
  configure "$2" <<<"address add $4/24 dev eth0
    link set eth0 up
    route add default via $(pod_subnet "$1").1"
}

in_namespace() {
  local namespace=$1
  shift
  nsenter --net="/run/netns/$run_name-$namespace" -- "$@"
}

# enter NODE NAMESPACE COMMAND...: becomes COMMAND; call it in a subshell.
enter() {
  local cgroup=$cgroups/$1 namespace=/run/netns/$run_name-$2
  shift 2
  echo "$BASHPID" >"$cgroup/cgroup.procs"
  exec nsenter --net="$namespace" -- "$@"
}

# in_client NODE COMMAND...: as a process of the client's pod there.
in_client() {
  (enter "$1" "client-$1" "${@:2}")
}

# start NODE NAMESPACE LOG COMMAND...: in the background, for the rest of the run. Sets $started.
start() {
  (enter "$1" "$2" "${@:4}") </dev/null >>"$3" 2>&1 &
  started=$!
  disown "$started" # the shell would report its end
}

start_agent() {
  : >"$state/$1.log"
  start "$1" "$1" "$state/$1.log" "$agent" --node "$1" --manifests "$manifests" \
    --cgroup "$cgroups/$1" --pin-path "$pins/$1"
  agent_pid[$1]=$started
}

# Until it says ready.
await_agent() {
  local try
  for ((try = 0; try < 1000; try++)); do
    ! grep -q ' ready: ' "$state/$1.log" || return 0
    [ -d "/proc/${agent_pid[$1]}" ] || break
    sleep 0.02
  done
  fail "the agent of node $1 does not get ready: $(tail -n 1 -- "$state/$1.log")"
}

start_backend() {
  local backend=$1 node=${1#web-}
  if [ "$node" != vm ]; then
    add_pod "$node" "$backend" web "$(backend_address "$backend")"
  else
    mkdir -- "$cgroups/vm" || fail "cannot create cgroup $cgroups/vm"
    configure web-vm < <(routes_without nobody)
  fi
  start "$node" "$backend" "$state/$backend.log" "$peer" serve "$backend" "$pod_port"
}

# Until it answers a client that dials it directly: its process and the routes are there.
await_backend() {
  local try answer
  for ((try = 0; try < 100; try++)); do
    answer=$(in_client a1 "$peer" ask "$(backend_address "$1")" "$pod_port" tcp 1)
    [ "$answer" != "$1 1" ] || return 0
    sleep 0.05
  done
  fail "backend $1 does not answer: ${answer% *}"
}

start_cluster() {
  local name
  say "starting the cluster"
  mkdir -p -- "$manifests" "$cgroups" "$pins" || fail "cannot create $manifests, $cgroups, $pins"
  add_fabric
  for name in "${nodes[@]}"; do
    add_node "$name"
    node_manifest "$name" >"$manifests/node-$name.yaml"
  done
  service_manifest >"$manifests/service.yaml"
  slice_manifest "${backends[@]}" >"$manifests/endpoints.yaml"
  for name in "${backends[@]}"; do start_backend "$name"; done
  for name in "${backends[@]}"; do await_backend "$name"; done
  for name in "${nodes[@]}"; do start_agent "$name"; done
  for name in "${nodes[@]}"; do await_agent "$name"; done
}
