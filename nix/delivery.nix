# The committed, generated manifests as derivations. `xtask gen --check` and `xtask bundle --check` hold them to the code.
{
  lib,
  runCommand,
  version,
}:
let
  copy =
    name: files:
    let
      source = lib.fileset.toSource {
        root = ../bundle;
        fileset = files;
      };
    in
    runCommand "gloonet-${name}-${version}" { } ''
      mkdir -p $out
      cp --recursive --no-preserve=mode ${source}/. $out/
    '';
in
{
  bundle = copy "bundle" (
    lib.fileset.unions [
      ../bundle/manifests
      ../bundle/metadata
      ../bundle/tests
    ]
  );
  crds = copy "crds" ../bundle/manifests/gloonetworks.gloonetwork.io.crd.yaml;
  install = copy "install" ../bundle/install.yaml;
}
