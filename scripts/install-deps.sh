#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/install-deps.sh [--build]
# Installs by apt what building, testing and the demo need: Debian 12 and 13, as root.
#   --build   only what building needs
# Does nothing when all of it is there. Exit 2: cannot install here, one line says why.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

build_packages=(
  meson ninja-build pkg-config cmake ccache g++
  clang bpftool libbpf-dev libelf-dev zlib1g-dev linux-libc-dev
  libfmt-dev libspdlog-dev libsimdjson-dev libprotozero-dev libyaml-dev libcli11-dev
  libcpprest-dev libboost-system-dev libssl-dev prometheus-cpp-dev
)
test_packages=(
  libgtest-dev libgmock-dev clang-format clang-tidy shellcheck
  iproute2 iptables nftables procps python3 util-linux ca-certificates openssl
  # Clients of Services.
  curl bind9-dnsutils iperf3 iputils-ping traceroute
  # Completion and manual pages are tested with those who read them.
  fish zsh groff man-db mandoc
  # The Helm chart is rendered by the libraries that Helm is made of.
  python3-yaml golang-go golang-github-masterminds-sprig-dev golang-github-ghodss-yaml-dev
  golang-github-xeipuuv-gojsonschema-dev
)
case ${1:-} in
  '') packages=("${build_packages[@]}" "${test_packages[@]}") ;;
  --build) packages=("${build_packages[@]}") ;;
  -h | --help)
    sed -n '3,7s/^# //p' -- "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *) missing "unknown argument '$1' (try --help)" ;;
esac
log=$topolb_root/build-logs/install-deps.log

# Sets `absent` to the packages that are not installed.
find_absent() {
  local package installed
  # It fails when it does not know one of them, and still prints the others.
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null) || true
  absent=()
  for package in "${packages[@]}"; do
    [[ $'\n'$installed$'\n' == *$'\n'"$package installed"$'\n'* ]] || absent+=("$package")
  done
}

require_debian() {
  local id='' version=''
  if [ -r /etc/os-release ]; then
    id=$(. /etc/os-release && echo "${ID:-}")
    version=$(. /etc/os-release && echo "${VERSION_ID:-}")
  fi
  [ "$id" = debian ] ||
    missing "unknown distribution '${id:-?}': packages are known for Debian 12 and 13; install by hand what $0 lists"
  case $version in
    12 | 13) ;;
    *) missing "Debian '${version:-?}' is not supported: packages are known for Debian 12 and 13" ;;
  esac
  command -v apt-get >/dev/null || missing "apt-get is missing"
}

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

install_failed() {
  if grep -Eq 'Could not resolve|Could not connect|Cannot initiate|Failed to fetch|Unable to connect|Unable to locate' "$log"; then
    missing "no package mirror in reach: check the network and /etc/apt (log: $log)"
  fi
  tail -n 20 -- "$log" >&2
  missing "apt-get could not install the packages (log: $log)"
}

require_debian
find_absent
if ((${#absent[@]} == 0)); then
  say "dependencies: all there"
  exit 0
fi
[ "$(id -u)" -eq 0 ] ||
  missing "needs root to install ${absent[*]}: run 'sudo scripts/install-deps.sh'"

say "dependencies: installing ${#absent[@]} packages and what they need"
# A source that cannot be read is no reason to stop: the install tells whether it mattered.
log_to "$log" apt update || note "apt-get update: $(tail -n 1 -- "$log")"
log_to "$log" apt install --no-install-recommends "${absent[@]}" || install_failed
find_absent
((${#absent[@]} == 0)) || missing "still missing after the install: ${absent[*]}"
say "dependencies: installed in $SECONDS s"
