# One OCI image per component of ours; the paths inside are those that the catalog's manifests name.
{
  lib,
  binaries,
  busybox,
  created,
  dockerTools,
  release,
  revision,
  runCommand,
  version,
}:
let
  root =
    name: files:
    runCommand "${name}-root" { } (
      lib.concatStrings (
        lib.mapAttrsToList (path: program: ''
          install -D --mode=755 ${lib.getExe program} $out${path}
        '') files
      )
    );

  image =
    name:
    {
      files,
      entrypoint,
      user ? "65532:65532",
      contents ? [ ],
    }:
    dockerTools.buildLayeredImage {
      name = release.ours.${name}.reference;
      tag = version;
      inherit created;
      mtime = created;
      contents = [ (root name files) ] ++ contents;
      config = {
        Entrypoint = [ entrypoint ];
        User = user;
        Labels = {
          "org.opencontainers.image.licenses" = "Apache-2.0";
          "org.opencontainers.image.revision" = revision;
          "org.opencontainers.image.title" = name;
          "org.opencontainers.image.version" = version;
        };
      };
    };
in
lib.mapAttrs image {
  gloonet-operator = {
    entrypoint = "/usr/bin/gloonet-operator";
    files = {
      "/usr/bin/gloonet" = binaries.gloonet;
      "/usr/bin/gloonet-operator" = binaries.gloonet-operator;
    };
  };
  cilium-operator = {
    entrypoint = "/usr/bin/cilium-operator";
    files."/usr/bin/cilium-operator" = binaries.cilium-operator;
  };
  # Root: the agent loads kernel programs and enters network namespaces. The shell is for people with `kubectl debug`,
  # and for the init container that copies cilium-cni to the host.
  cilium-agent = {
    entrypoint = "/usr/bin/cilium-agent";
    user = "0:0";
    files = {
      "/opt/cni/bin/cilium-cni" = binaries.cilium-cni;
      "/usr/bin/cilium-agent" = binaries.cilium-agent;
    };
    contents = [ busybox ];
  };
}
