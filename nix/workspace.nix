# All shipped binaries in one cargo build, with the profile that the images of `xtask image` use.
{
  lib,
  rustPlatform,
  version,
}:
rustPlatform.buildRustPackage {
  pname = "gloonet-workspace";
  inherit version;
  # Cargo wants every workspace member to exist, also those that are not built here.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.lock
      ../Cargo.toml
      ../components
      ../dashboards
      ../ebpf
      ../lab
      ../operator
      ../release.lock
      ../testing
      ../xtask
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;
  buildType = "image";
  cargoBuildFlags = lib.concatMap (package: [ "--package" package ]) [
    "cilium-agent"
    "cilium-cni"
    "cilium-dbg"
    "cilium-operator"
    "gloo-mesh-agent"
    "gloo-mesh-analyzer"
    "gloo-mesh-insights"
    "gloo-mesh-mgmt-server"
    "gloonet-ctl"
    "gloonet-operator"
    "hubble-relay"
    "redis-sink"
  ];
  # The pure crates need neither kernel nor cluster; all else is tested by `./dev test`.
  cargoTestFlags = lib.concatMap (package: [ "--package" package ]) [
    "gloonet-api"
    "gloonet-plan"
  ];
  meta.license = lib.licenses.asl20;
}
