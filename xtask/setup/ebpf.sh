#!/usr/bin/env bash
# The toolchain of the kernel programs: Debian's rustc with its prebuilt core for bpfel-unknown-none, and bpf-linker
# against the same LLVM. rustup's own toolchains carry no core for that target.
set -euo pipefail

rustc=1.96.0+dfsg1-1~deb12u2
linker=0.13.0
llvm=22.1
home=/opt/bpf

packages=(rustc-web="$rustc" libstd-rust-web-1.96="$rustc" libstd-rust-web-dev="$rustc" libstd-rust-web-dev-bpf="$rustc" llvm-19)
for package in "${packages[@]}"; do
  if [[ $(dpkg-query -W -f='${db:Status-Status}' "${package%%=*}" 2>/dev/null) != installed ]]; then
    echo "… eBPF compiler: ${packages[*]} (usually 25 s)" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # A security update may have replaced this compiler; the committed object then stays the way to build everything else.
    if ! apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null; then
      echo "error: rustc-web $rustc is no longer offered: raise the version in xtask/setup/ebpf.sh and commit the object it builds; all else builds with the committed one" >&2
      exit 1
    fi
    echo "✓ eBPF compiler" >&2
    break
  fi
done

library=/usr/lib/x86_64-linux-gnu/libLLVM.so.$llvm
[[ -e $library ]] || { echo "error: rustc-web no longer uses LLVM $llvm; raise llvm and linker in xtask/setup/ebpf.sh together" >&2; exit 1; }
mkdir -p "$home/llvm/lib"
ln -sfn "$library" "$home/llvm/lib/libLLVM.so"

if ! "$home/bin/bpf-linker" --version 2>/dev/null | grep -qF "$linker"; then
  echo "… bpf-linker $linker (usually 1 min)" >&2
  LLVM_PREFIX=$home/llvm cargo install bpf-linker --version "$linker" --locked --quiet \
    --no-default-features --features llvm-22 --root "$home"
  echo "✓ bpf-linker" >&2
fi
