# Everything the flake gives away, as one attribute `gloonet` of the package set.
{ modified, revision }:
final: _prev:
let
  inherit (final) lib callPackage;
  field = start: length: builtins.substring start length modified;
  created = "${field 0 4}-${field 4 2}-${field 6 2}T${field 8 2}:${field 10 2}:${field 12 2}Z";

  inherit ((lib.importTOML ../Cargo.toml).workspace.package) version;
  release = callPackage ./release.nix { inherit version; };
  # Static: cilium-cni is copied out of its image and runs on the host, which has no /nix/store.
  workspace = final.pkgsStatic.callPackage ./workspace.nix { inherit version; };
  binaries = callPackage ./binaries.nix { inherit version workspace; };
  delivery = callPackage ./delivery.nix { inherit version; };
in
{
  gloonet = {
    inherit
      binaries
      release
      version
      workspace
      ;
    inherit (delivery) bundle crds install;
    datapath-object = callPackage ./datapath-object.nix { inherit version; };
    images = callPackage ./images.nix {
      inherit
        binaries
        created
        release
        revision
        version
        ;
    };
    bundle-image = callPackage ./bundle-image.nix {
      inherit created revision version;
      inherit (delivery) bundle;
    };
    testImages = callPackage ./test-images.nix { inherit created release; };
  };
}
