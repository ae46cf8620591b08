# The committed eBPF object. Nix does not build it again: its bytes are defined by the toolchain that `./dev setup` pins, and
# `xtask ebpf --check` compares them there. Here it is only refused when it could not load.
{
  llvmPackages,
  runCommand,
  version,
}:
runCommand "datapath-object-${version}"
  {
    nativeBuildInputs = [ llvmPackages.llvm ];
  }
  ''
    object=${../ebpf/datapath/object/datapath.bpf.o}
    llvm-readelf --file-header $object | grep --quiet 'Machine:.*BPF'
    for section in .BTF .BTF.ext .maps license; do
      llvm-readelf --section-headers --wide $object | grep --quiet --fixed-strings " $section " \
        || { echo "datapath.bpf.o has no section $section"; exit 1; }
    done
    install -D --mode=644 $object $out/lib/datapath.bpf.o
  ''
