# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Shared by the scripts: source it first. Sets strict mode and $topolb_root.
#   say, note, progress     what the reader sees
#   fail, missing           one line and out: exit 1 (it went wrong), exit 2 (it cannot run here)
#   log_to, run_logged      one command, its output in a log file
#   require_*               what the machine must have; each says in one line what is missing

set -euo pipefail

# shellcheck disable=SC2034  # used by those who source this
topolb_root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
script_name=${0##*/}

say() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }

fail() {
  printf '%s: %s\n' "$script_name" "$*" >&2
  exit 1
}

missing() {
  printf '%s: %s\n' "$script_name" "$*" >&2
  exit 2
}

# Passes on a line every 5 seconds at most: enough to see that it moves and where it is.
progress() {
  local line next=$((SECONDS + 5))
  while IFS= read -r line; do
    if ((SECONDS >= next)); then
      note "${line:0:100}"
      next=$((SECONDS + 5))
    fi
  done
}

# log_to LOG COMMAND...: output goes to LOG, a line now and then to the reader.
log_to() {
  local log=$1
  shift
  mkdir -p -- "$(dirname -- "$log")"
  "$@" </dev/null 2>&1 | tee -- "$log" | progress
}

# run_logged LOG COMMAND...: the same; and when COMMAND fails, the end of LOG.
run_logged() {
  local log=$1 status=0
  log_to "$@" || status=$?
  if ((status != 0)); then
    shift
    tail -n 40 -- "$log" >&2
    printf '%s: failed: %s (log: %s)\n' "$script_name" "$*" "$log" >&2
  fi
  return "$status"
}

require_root() {
  [ "$(id -u)" -eq 0 ] || missing "needs root: run 'sudo scripts/$script_name'"
}

require_command() {
  local name
  for name in "$@"; do
    command -v "$name" >/dev/null ||
      missing "command '$name' is missing: run 'sudo scripts/install-deps.sh'"
  done
}

# The BPF syscall, and the program type of the socket hooks.
require_bpf() {
  require_command bpftool
  local answer
  answer=$(bpftool prog show 2>&1 >/dev/null) ||
    missing "the kernel refuses the bpf() system call: ${answer%%$'\n'*}"
  answer=$(bpftool feature probe kernel 2>/dev/null) || true
  [[ $answer == *"program_type cgroup_sock_addr is available"* ]] ||
    missing "the kernel has no BPF socket hooks (needs CONFIG_CGROUP_BPF)"
}

require_btf() {
  [ -r /sys/kernel/btf/vmlinux ] ||
    missing "the kernel has no BTF: /sys/kernel/btf/vmlinux is missing (needs CONFIG_DEBUG_INFO_BTF)"
}

# Prints where cgroup2 is mounted (hybrid set-ups have it beside version 1); nothing if nowhere.
find_cgroup2() {
  awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts
}

require_cgroup2() {
  [ -n "$(find_cgroup2)" ] ||
    missing "no cgroup2 is mounted: try 'mount -t cgroup2 none /sys/fs/cgroup'"
}

require_netns() {
  require_command unshare ip
  local answer
  answer=$(unshare --net true 2>&1) ||
    missing "cannot create a network namespace: ${answer%%$'\n'*} (needs CONFIG_NET_NS and CAP_SYS_ADMIN)"
}

# Mounts bpffs where it is missing, and leaves it mounted, as systemd does at boot.
require_bpffs() {
  local answer
  if awk '$2 == "/sys/fs/bpf" && $3 == "bpf" { found = 1 } END { exit !found }' /proc/mounts; then
    return
  fi
  answer=$(mount -t bpf bpf /sys/fs/bpf 2>&1) ||
    missing "cannot mount bpffs on /sys/fs/bpf: ${answer%%$'\n'*}"
  note "mounted bpffs on /sys/fs/bpf"
}

# Everything that running topolb for real takes.
require_kernel() {
  require_root
  require_bpf
  require_btf
  require_cgroup2
  require_bpffs
  require_netns
}
