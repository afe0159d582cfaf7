# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# What the reader sees: numbered steps, what is expected and what was seen, 80 columns.

step_number=0
mismatches=0
bold='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi

step() {
  step_number=$((step_number + 1))
  printf '\n%s%2d  %s%s\n' "$bold" "$step_number" "$1" "$plain"
}

expect() { printf '    expect  %s\n' "$1"; }

# seen TEXT CHECK...: CHECK is the command that tells whether TEXT is as expected.
seen() {
  local text=$1 verdict=${green}PASS$plain
  shift
  if ! "$@"; then
    verdict=${red}FAIL$plain
    mismatches=$((mismatches + 1))
  fi
  printf '    seen    %-61s  %s\n' "$text" "$verdict"
}

# join SEPARATOR WORD...
join() {
  local separator=$1 text=$2 word
  for word in "${@:3}"; do text+=$separator$word; done
  echo "$text"
}

show_cluster() {
  local node pod
  printf '\n    %-6s%-10s%-10s%-9s%s\n' node rack zone region 'pod of Service web'
  for node in "${nodes[@]}"; do
    pod=web-$node
    [[ " ${backends[*]} " == *" $pod "* ]] || pod=-
    printf '    %-6s%-10s%-10s%-9s%s\n' "$node" "${rack_of[$node]}" "${zone_of[$node]}" \
      "${region_of[${zone_of[$node]}]}" "$pod"
  done
  printf '    %-6s%-10s%-10s%-9s%s\n' - - "${zone_of[vm]}" - 'web-vm, a server outside of the cluster'
}

# show_matrix ROW...: a row is a client's node and a count per backend.
show_matrix() {
  local backend row cell
  printf '\n    %-15s' 'client on'
  for backend in "${backends[@]}"; do printf '%9s' "${zone_of[${backend#web-}]}"; done
  printf '\n    %-15s' ''
  for backend in "${backends[@]}"; do printf '%9s' "$backend"; done
  printf '\n'
  for row in "$@"; do
    read -r -a row <<<"$row"
    printf '    %-15s' "${zone_of[${row[0]}]}  ${row[0]}"
    for cell in "${row[@]:1}"; do printf '%9s' "${cell/#0/.}"; done
    printf '\n'
  done
  printf '\n'
}

# quote COMMAND...: what a person would type, and what it prints.
quote() {
  local line
  printf '\n    $ %s\n' "$1"
  shift
  "$@" | while IFS= read -r line; do echo "${line:+    $line}"; done
}

finish() {
  printf '\n'
  if ((mismatches > 0)); then
    say "$mismatches checks in $step_number steps failed, $SECONDS s"
    exit 1
  fi
  say "all $step_number steps as expected, $SECONDS s"
}
