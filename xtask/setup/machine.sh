#!/usr/bin/env bash
# Installs what a bare Debian 12 with Rust and Go lacks. Quick when nothing is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

usage() {
  cat <<'TEXT'
usage: ./dev setup [--ebpf]

  --ebpf   also install the toolchain that builds the kernel programs (0.7 GB, about a minute).
           Only those who change ebpf/ need it; everybody else uses the committed object.
TEXT
}

# One line per reason.
packages=(
  build-essential ca-certificates git                 # compilers for Rust's C dependencies and the pause program
  runc iproute2 util-linux procps conntrack           # what a node runs
  busybox-static redis-server prometheus              # content of lab images
  curl bind9-dnsutils netcat-openbsd iputils-ping     # content of test images
  containernetworking-plugins                         # the reference CNI, which measurements compare with
  iptables nftables ethtool tcpdump iperf3 qperf      # tests and measurements
  jq skopeo umoci                                     # looking into images
  nix-bin python3-venv                                # checks of the Nix delivery
)

# Packages bring services along that would take ports of the machine; the lab starts its own programs.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap "rm -f $policy" EXIT
  fi
  "$@"
  if [[ -d /run/systemd/system ]]; then
    systemctl disable --quiet redis-server prometheus 2>/dev/null || true
  fi
}

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  echo "… packages: ${missing[*]} (usually 40 s)" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  without_services apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  echo "✓ packages" >&2
}

install_rust() {
  # rustup reads rust-toolchain.toml; asking for the version installs it where it is missing.
  command -v rustup >/dev/null || return 0
  local channel
  channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
  if ! rustup toolchain list | grep -q "^$channel"; then
    echo "… Rust $channel (usually 30 s)" >&2
    rustup toolchain install "$channel" --profile minimal --component clippy --component rustfmt >/dev/null
    echo "✓ Rust $channel" >&2
  fi
}

case ${1:-} in
  -h | --help) usage; exit ;;
  --ebpf | '') ;;
  *) usage >&2; exit 2 ;;
esac
[[ -r /etc/debian_version ]] || { echo "error: ./dev setup installs Debian packages and this is another system; install by hand: ${packages[*]}" >&2; exit 1; }
install_packages
install_rust
if [[ ${1:-} == --ebpf ]]; then
  xtask/setup/ebpf.sh
fi
