# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# The steps. Every connection in them is a real one, from a pod to the Service's address.

asked_by_matrix=150 # by each client, each protocol
edits=31
latency_goal_ms=20

# ask NODE PROTOCOL COUNT: lines "ANSWER COUNT".
ask() {
  in_client "$1" "$peer" ask "$service_address" "$service_port" "$2" "$3"
}

# see_change NODE OLD NEW [FILE]: connects on NODE while stdin replaces FILE of the manifests.
# Sets $ms ("never": not at all), $connections, $strays, and $why, what went wrong.
see_change() {
  local node=$1 old=$2 new=$3 rename=()
  if (($# == 4)); then
    cat >"$state/next"
    rename=("$state/next" "$manifests/$4")
  fi
  read -r ms connections strays < <(in_client "$node" "$peer" change "$service_address" \
    "$service_port" "$old" "$new" "${rename[@]}" 2>"$state/why") || ms=never
  why=$(tail -n 1 -- "$state/why")
  why=${why#*: }
}

as_it_should() { [ "$ms" != never ] && ((strays == 0)); }

# publish FILE: stdin replaces it.
publish() {
  cat >"$state/next"
  mv -- "$state/next" "$manifests/$1"
}

# change NODE OLD NEW FILE: the same as a step, told to the reader.
change() {
  local text
  see_change "$@"
  if as_it_should; then
    text="${3//,/, } after $ms ms; $connections connections, none went wrong"
  else
    text=$why
  fi
  seen "$text" as_it_should
}

# Who should answer a client on NODE; sorted.
everywhere() { printf '%s\n' "${backends[@]}" | sort; }
nearest() { if [ "$1" = b2 ]; then echo web-b1; else echo "web-$1"; fi; }

# tally NODE WHO: asks on NODE, by TCP and by UDP. Adds to `count` (by backend), and to `wrong` if
# others answer than `WHO NODE` says.
tally() {
  local protocol answer number got
  for protocol in tcp udp; do
    got=()
    while read -r answer number; do
      got+=("$answer")
      count[$answer]=$((${count[$answer]:-0} + ${number##* }))
    done < <(ask "$1" "$protocol" "$asked_by_matrix")
    [ "$(printf '%s\n' "${got[@]}" | sort)" = "$("$2" "$1")" ] || wrong=$((wrong + 1))
  done
}

# matrix WHO
matrix() {
  local node backend rows=() row wrong=0
  local -A count
  for node in "${nodes[@]}"; do
    count=() row=$node
    tally "$node" "$1"
    for backend in "${backends[@]}"; do row+=" ${count[$backend]:-0}"; done
    rows+=("$row")
  done
  show_matrix "${rows[@]}"
  seen "$((2 * asked_by_matrix)) answers to each client, half TCP, half UDP; $wrong wrong" \
    test "$wrong" = 0
}

spread_and_near() {
  step 'Without topologyKeys, a Service spreads over the whole cluster'
  expect 'every client reaches every backend'
  matrix everywhere

  step 'Annotated with topologyKeys: node, rack, zone, region, *'
  expect 'the pod of the own node; b2 has none, nor its rack: its zone'
  change a1 "$(join , "${backends[@]}")" web-a1 service.yaml < <(service_manifest "$all_keys")
  matrix nearest
}

show_why() {
  local object=default/web:tcp
  quote "topolb explain $object --node $1 --manifests ..." \
    "$cli" explain "$object" --node "$1" --manifests "$manifests"
}

fall_and_return() {
  step "The backend on a1's own node goes away"
  expect "a1's connections fall to its rack: web-a2"
  change a1 web-a1 web-a2 endpoints.yaml < <(slice_manifest web-a2 web-vm web-b1 web-c1 web-c2)

  step 'That of the rack, too'
  expect 'to its zone: web-vm'
  change a1 web-a2 web-vm endpoints.yaml < <(slice_manifest web-vm web-b1 web-c1 web-c2)
  show_why a1

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
  expect 'a1 has a backend and notices nothing; with * again, b2 is served'
  local answers
  answers=$(ask a1 tcp "200")
  seen "a1: ${answers/ / x }" test "$answers" = "web-a1 200"
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
    [ "$ms" != never ] || break
    times+=("$ms")
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
  expect "median below $latency_goal_ms ms from the rename of the file; none goes wrong"
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
  step 'The agent of a1 is killed (SIGKILL), and started after an edit'
  start_storm
  kill -KILL "${agent_pid[a1]}" 2>/dev/null ||
    fail "the agent of node a1 has ended: $(tail -n 1 -- "$state/a1.log")"
  expect 'the agent is down as its backend leaves: the last state stays'
  publish endpoints.yaml < <(slice_manifest web-a2 web-vm web-b1 web-c1 web-c2)
  sleep 0.5
  answers=$(ask a1 tcp "200")
  seen "${answers/ / x }" test "$answers" = "web-a1 200"
  expect 'the agent takes over and applies the edit: web-a2'
  start_agent a1
  see_change a1 web-a1 web-a2
  seen "${why:-web-a2 after $ms ms}" as_it_should
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
