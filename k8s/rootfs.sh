#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rootfs.sh DIRECTORY PROGRAM...: a root file system with these programs in /usr/local/bin, the libraries
# that they link, certificate authorities, and the licences of the packages all of it comes from.
set -eu
root=$1
shift

# copy FILE: with the directories above it, and what a link leads to.
copy() {
  mkdir -p "$root$(dirname "$1")"
  cp -L "$1" "$root$1"
}

libraries=$(ldd "$@" | sed -n 's/^.*=> \(\/[^ ]*\) .*/\1/p; s/^\t\(\/[^ ]*\) .*/\1/p' | sort -u)
for file in $libraries /etc/ssl/certs/ca-certificates.crt /etc/ssl/openssl.cnf; do
  copy "$file"
done
mkdir -p "$root/usr/local/bin" "$root/usr/lib/ssl" "$root/sys/fs/bpf" "$root/run/topolb/cgroup2" "$root/run/netns" "$root/tmp"
cp "$@" "$root/usr/local/bin/"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
# Where OpenSSL looks for both.
ln -s /etc/ssl/certs "$root/usr/lib/ssl/certs"
ln -s /etc/ssl/openssl.cnf "$root/usr/lib/ssl/openssl.cnf"
ln -s certs/ca-certificates.crt "$root/etc/ssl/cert.pem"

for library in $libraries; do
  # Packages name the place where a file was before /lib became a link.
  package=$(dpkg-query -S "$(readlink -f "$library")" "$library" "${library#/usr}" 2>/dev/null |
    sed -n '1s/:.*//p')
  [ -n "$package" ] || { echo "rootfs.sh: no package owns $library" >&2; exit 1; }
  copy "/usr/share/doc/$package/copyright"
done
copy /usr/share/doc/ca-certificates/copyright
