# One package per binary, so that an image carries what it runs and nothing else.
{
  lib,
  runCommand,
  version,
  workspace,
}:
lib.genAttrs
  [
    "cilium-agent"
    "cilium-cni"
    "cilium-dbg"
    "cilium-operator"
    "gloo-mesh-agent"
    "gloo-mesh-analyzer"
    "gloo-mesh-insights"
    "gloo-mesh-mgmt-server"
    "gloonet"
    "gloonet-operator"
    "hubble-relay"
    "redis-sink"
  ]
  (
    name:
    runCommand "${name}-${version}"
      {
        pname = name;
        inherit version;
        meta.mainProgram = name;
      }
      ''
        install -D --mode=755 ${workspace}/bin/${name} $out/bin/${name}
      ''
  )
