# One OCI image per component of ours. What is in it stands in xtask/images/, once for `xtask image` and for Nix.
{
  lib,
  binaries,
  busybox,
  created,
  dockerTools,
  jq,
  release,
  revision,
  runCommand,
  version,
}:
let
  # Our own images have "cargo:PACKAGE/BINARY", and of the distribution's programs ("debian:/path") these.
  tools = {
    inherit jq;
  };
  binaryOf =
    source: (if lib.hasPrefix "debian:" source then tools else binaries).${lib.last (lib.splitString "/" source)};

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
