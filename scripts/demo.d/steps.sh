# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The steps. Every connection in them is a real one, from a pod to the Service's address.

tcp_of_matrix=200
udp_of_matrix=100
edits=31
latency_goal_ms=20

# ask NODE PROTOCOL COUNT: lines "ANSWER COUNT".
ask() {
  in_client "$1" "$peer" ask "$service_address" "$service_port" "$2" "$3"
}

# see_change NODE OLD NEW [FILE]: connects on NODE while stdin replaces FILE of the manifests.
# Sets $ms, $connections, $strays, or $ms to "never".
see_change() {
  local node=$1 old=$2 new=$3 rename=()
  if (($# == 4)); then
    cat >"$state/next"
    rename=("$state/next" "$manifests/$4")
  fi
  ms=never connections=0 strays=0
  read -r ms connections strays < <(in_client "$node" "$peer" change "$service_address" \
    "$service_port" "$old" "$new" "${rename[@]}") || ms=never
}

as_it_should() { [ "$ms" != never ] && ((strays == 0)); }

# publish FILE: stdin replaces it.
publish() {
  cat >"$state/next"
  mv -- "$state/next" "$manifests/$1"
}

# change NODE OLD NEW FILE: the same as a step, told to the reader.
change() {
  see_change "$@"
  local text="${3//,/, } after $ms ms; $connections connections, $strays lost or wrong"
  seen "$text" as_it_should
}

# count_answers NODE: sets the array `row` to the count of each backend, and `others` to that of
# anything else.
count_answers() {
  local answer count backend
  local -A counts=()
  others=0 row=()
  while read -r answer count; do
    counts[$answer]=$((${counts[$answer]:-0} + ${count##* }))
  done < <(ask "$1" tcp "$tcp_of_matrix" && ask "$1" udp "$udp_of_matrix")
  for backend in "${backends[@]}"; do
    row+=("${counts[$backend]:-0}")
    unset "counts[$backend]"
  done
  for answer in "${!counts[@]}"; do others=$((others + counts[$answer])); done
}

# all_reached: `row` has every backend. only BACKEND: `row` has that one and nothing else.
all_reached() { [[ " ${row[*]} " != *" 0 "* ]]; }
only() {
  local i
  for i in "${!backends[@]}"; do
    [ "${backends[i]}" = "$1" ] || ((row[i] == 0)) || return 1
  done
}

# matrix RULE...: RULE tells whether the row of $node is as it should be.
matrix() {
  local node rows=() others row clients=0 lost=0
  for node in "${nodes[@]}"; do
    count_answers "$node"
    rows+=("$node ${row[*]}")
    lost=$((lost + others))
    ! "$@" || clients=$((clients + 1))
  done
  show_matrix "${rows[@]}"
  seen "as expected for $clients of ${#nodes[@]} clients; $lost lost or wrong" \
    test "$clients $lost" = "${#nodes[@]} 0"
}

nearest_reached() {
  if [ "$node" = b2 ]; then only web-b1; else only "web-$node"; fi
}

spread_and_near() {
  step 'Without topologyKeys, a Service spreads over the whole cluster'
  expect "every client reaches every backend"
  expect "($tcp_of_matrix TCP connections and $udp_of_matrix UDP datagrams of each)"
  matrix all_reached

  step 'Annotated with topologyKeys: node, rack, zone, region, *'
  expect 'the pod of the own node; b2 has none, nor its rack: the one of its zone'
  change a1 "$(join , "${backends[@]}")" web-a1 service.yaml < <(service_manifest "$all_keys")
  matrix nearest_reached
}

fall_and_return() {
  step "The backend on a1's own node goes away"
  expect "a1's connections fall to its rack: web-a2"
  change a1 web-a1 web-a2 endpoints.yaml < <(slice_manifest web-a2 web-vm web-b1 web-c1 web-c2)

  step 'That of the rack, too'
  expect 'to its zone: web-vm'
  change a1 web-a2 web-vm endpoints.yaml < <(slice_manifest web-vm web-b1 web-c1 web-c2)

  step 'That of the zone, too'
  expect 'to its region: web-b1'
  change a1 web-vm web-b1 endpoints.yaml < <(slice_manifest web-b1 web-c1 web-c2)

  step 'That of the region, too'
  expect 'to any: web-c1, web-c2'
  change a1 web-b1 web-c1,web-c2 endpoints.yaml < <(slice_manifest web-c1 web-c2)

  step 'All are back'
  expect 'back to the own node: web-a1'
  change a1 web-c1,web-c2 web-a1 endpoints.yaml < <(slice_manifest "${backends[@]}")
}

relabel() {
  step 'Node b2 is relabelled: from zone-b to zone-c, rack-4'
  expect 'its connections go to that rack: web-c1, web-c2'
  change b2 web-b1 web-c1,web-c2 node-b2.yaml < <(node_manifest b2 zone-c rack-4)
  expect 'labelled as before: web-b1'
  change b2 web-c1,web-c2 web-b1 node-b2.yaml < <(node_manifest b2)
}

# refuse_all NODE COUNT: sets $refused and $refused_ms.
refuse_all() {
  local start=${EPOCHREALTIME/./} answers
  answers=$(ask "$1" tcp "$2")
  refused_ms=$(((${EPOCHREALTIME/./} - start) / 1000))
  [[ $answers =~ ^refused\ ([0-9]+)$ ]] && refused=${BASH_REMATCH[1]} || refused=0
}

strict_keys() {
  step 'Strict topologyKeys: node, rack, and nothing else'
  expect 'b2, with no backend that near, is refused at once'
  change b2 web-b1 refused service.yaml < <(service_manifest "$node_keys")
  refuse_all b2 1000
  seen "$refused of 1000 connections refused, in $refused_ms ms" \
    test "$refused" = 1000 -a "$refused_ms" -lt 1000
  expect 'a1 has a backend, and notices nothing; with the * again, b2 is served'
  local answers
  answers=$(ask a1 tcp "$tcp_of_matrix")
  seen "a1: ${answers/ / x }" test "$answers" = "web-a1 $tcp_of_matrix"
  change b2 refused web-b1 service.yaml < <(service_manifest "$all_keys")
}

# Sets $times (sorted), $median and $faults.
measure_edits() {
  local i new old=web-a1
  times=() faults=0
  for ((i = 0; i < edits; i++)); do
    [ "$old" = web-a1 ] && new=web-a2 || new=web-a1
    see_change a1 "$old" "$new" endpoints.yaml < <(slice_manifest "$new" web-b1)
    as_it_should || faults=$((faults + 1))
    [ "$ms" = never ] || times+=("$ms")
    old=$new
  done
  mapfile -t times < <(printf '%s\n' "${times[@]:-never}" | sort -g)
  median=${times[${#times[@]} / 2]}
}

median_is_fine() {
  ((faults == 0)) && awk "BEGIN { exit !($median < $latency_goal_ms) }"
}

latency() {
  local times median faults
  step "$edits edits, one after the other: how long until a connection shows it"
  expect "median below $latency_goal_ms ms from the rename of the file; none lost or wrong"
  measure_edits
  seen "median $median ms, best ${times[0]}, worst ${times[-1]}; $faults edits with a fault" \
    median_is_fine
  expect 'all backends again: web-a1'
  change a1 web-a2 web-a1 endpoints.yaml < <(slice_manifest "${backends[@]}")
}

# A storm of connections on a1, from start_storm to end_storm.
start_storm() {
  start a1 client-a1 "$state/storm" "$peer" storm "$service_address" "$service_port"
  storm_pid=$started
  sleep 0.3
}

# Sets $stormed, all its connections, and $storm_lost, those that no pod answered.
end_storm() {
  local answer count
  sleep 0.2
  kill -TERM "$storm_pid"
  while [ -d "/proc/$storm_pid" ]; do sleep 0.02; done
  stormed=0 storm_lost=0
  while read -r answer count; do
    stormed=$((stormed + ${count##* }))
    [[ $answer == web-* ]] || storm_lost=$((storm_lost + ${count##* }))
  done <"$state/storm"
}

kill_agent() {
  local answers
  step 'The agent of a1 is killed (SIGKILL), a file edited, the agent started again'
  start_storm
  kill -KILL "${agent_pid[a1]}"
  expect "the backend of a1 leaves while its agent is down: the kernel's state stays"
  publish endpoints.yaml < <(slice_manifest web-a2 web-vm web-b1 web-c1 web-c2)
  sleep 0.5
  answers=$(ask a1 tcp "$tcp_of_matrix")
  seen "${answers/ / x }" test "$answers" = "web-a1 $tcp_of_matrix"
  expect 'the agent takes over and applies the edit: web-a2'
  start_agent a1
  see_change a1 web-a1 web-a2
  seen "web-a2 $ms ms after the start" as_it_should
  end_storm
  expect 'no connection fails meanwhile'
  seen "$stormed connections, $storm_lost failed" test "$storm_lost" = 0 -a "$stormed" -gt 500
}

run_steps() {
  spread_and_near
  fall_and_return
  relabel
  strict_keys
  latency
  kill_agent
}
