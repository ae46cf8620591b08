# One OCI image per component of ours. What is in it stands in xtask/images/, once for `xtask image` and for Nix.
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
  # "cargo:PACKAGE/BINARY" is the only kind of file that our own images have.
  binaryOf = source: binaries.${lib.last (lib.splitString "/" source)};

  root =
    name: files: links:
    runCommand "${name}-root" { } (
      lib.concatStrings (
        lib.mapAttrsToList (path: source: ''
          install -D --mode=755 ${lib.getExe (binaryOf source)} $out${path}
        '') files
        ++ lib.mapAttrsToList (path: target: ''
          ln -s ${target} $out${path}
        '') links
      )
    );

  image =
    name: locked:
    let
      definition = lib.importTOML ../xtask/images/${name}.toml;
    in
    assert lib.assertMsg (definition.lock == name) "xtask/images/${name}.toml is not the image ${name} of release.lock";
    dockerTools.buildLayeredImage {
      name = locked.reference;
      tag = version;
      inherit created;
      mtime = created;
      contents = [ (root name definition.files (definition.links or { })) ] ++ lib.optional (definition.busybox or false) busybox;
      config = {
        Entrypoint = definition.entrypoint;
        User = definition.user;
        Labels = {
          "org.opencontainers.image.description" = definition.description;
          "org.opencontainers.image.licenses" = "Apache-2.0";
          "org.opencontainers.image.revision" = revision;
          "org.opencontainers.image.title" = name;
          "org.opencontainers.image.version" = version;
        };
      };
    };
in
lib.mapAttrs image release.ours
