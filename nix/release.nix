# release.lock, read once: image names and versions stand nowhere else under nix/.
{ lib, version }:
let
  images = lib.listToAttrs (
    map (image: lib.nameValuePair image.name image) (lib.importTOML ../release.lock).image
  );
  ours = lib.filterAttrs (_: image: lib.hasPrefix "ghcr.io/gloonetwork/" image.reference) images;
in
assert lib.assertMsg (lib.all (image: image.version == version) (
  lib.attrValues ours
)) "release.lock and Cargo.toml disagree about the version of our own images";
{
  inherit images ours;
}
