# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Removes all that a run made, found by the run's name alone: works after any failure, and for a run
# that was killed.

# processes_of RUN: all in its cgroups.
processes_of() {
  local file
  for file in "$(find_cgroup2)/$1"/*/cgroup.procs; do
    [ ! -e "$file" ] || cat -- "$file" 2>/dev/null || true
  done
}

end_processes_of() {
  local try pids
  for ((try = 0; try < 100; try++)); do
    mapfile -t pids < <(processes_of "$1")
    ((${#pids[@]} > 0)) || return 0
    kill -KILL "${pids[@]}" 2>/dev/null || true
    sleep 0.02
  done
}

# remove_run RUN: what fails here shows in leftovers_of; another run may remove the same dead one.
remove_run() {
  local run=$1 path
  end_processes_of "$run"
  rm -rf -- "/sys/fs/bpf/$run"
  for path in /run/netns/"$run"-*; do
    [ ! -e "$path" ] || ip netns delete "${path##*/}" 2>/dev/null || true
  done
  for path in "$(find_cgroup2)/$run"/*/ "$(find_cgroup2)/$run"; do
    [ ! -d "$path" ] || rmdir -- "$path" 2>/dev/null || true
  done
  rm -rf -- "/run/$run"
}

# leftovers_of RUN: what is still there, one per line.
leftovers_of() {
  local path
  processes_of "$1" | sed 's/^/process /'
  for path in /run/netns/"$1"-* "$(find_cgroup2)/$1" "/sys/fs/bpf/$1" "/run/$1"; do
    [ ! -e "$path" ] || echo "$path"
  done
}

# Runs that ended without a chance to clean up.
remove_dead_runs() {
  local path
  for path in /run/topolb-demo-*; do
    if [ -d "$path" ] && [ ! -d "/proc/${path##*-}" ]; then
      note "removing what a killed demo left: ${path##*/}"
      remove_run "${path##*/}"
    fi
  done
}

at_exit() {
  local status=$? left
  # Whoever interrupts twice, or has closed the other end of a pipe, still gets a clean machine.
  trap '' INT TERM HUP PIPE
  set +e
  remove_run "$run_name"
  left=$(leftovers_of "$run_name")
  if [ -n "$left" ]; then
    printf '%s: left behind: %s\n' "$script_name" "${left//$'\n'/, }" >&2
    ((status != 0)) || status=1
  elif ((status == 0)); then
    say 'removed every namespace, cgroup, pin and process again'
  fi
  exit "$status"
}

clean_up_at_exit() {
  trap at_exit EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 141' PIPE
  trap 'exit 143' TERM
}
