# Images for the VM tests only: nixpkgs' builds of the upstream programs, under the references that the operator asks for.
# The versions are nixpkgs', whatever the tag says: a VM without a registry can have nothing else.
{
  lib,
  busybox,
  created,
  dockerTools,
  grafana,
  opentelemetry-collector-contrib,
  prometheus,
  redis,
  release,
  runCommand,
  writeShellScriptBin,
}:
let
  # As the image of the same name that `xtask image` makes for the lab: same paths, user and entry point.
  likeTheLab =
    name: programs:
    let
      definition = lib.importTOML ../xtask/images/${name}.toml;
    in
    assert lib.assertMsg (
      lib.attrNames programs == lib.attrNames definition.files
    ) "nix/test-images.nix and xtask/images/${name}.toml have different files";
    image name {
      inherit programs;
      inherit (definition) user;
      entrypoint = definition.entrypoint or [ ];
      command = definition.command or [ ];
    };

  image =
    name:
    {
      programs,
      user,
      entrypoint,
      command ? [ ],
    }:
    dockerTools.buildLayeredImage {
      name = release.images.${name}.reference;
      tag = release.images.${name}.version;
      inherit created;
      mtime = created;
      contents = [
        (tree name programs)
        busybox
        dockerTools.fakeNss
      ];
      config = {
        Entrypoint = entrypoint;
        Cmd = command;
        User = user;
        Env = [ "PATH=/usr/local/bin:/bin" ];
      };
    };

  tree =
    name: programs:
    runCommand "${name}-root" { } (
      "mkdir --mode=1777 --parents $out/tmp\n"
      + lib.concatStrings (
        lib.mapAttrsToList (path: target: ''
          mkdir --parents $out${builtins.dirOf path}
          ln --symbolic ${target} $out${path}
        '') programs
      )
    );

  # Upstream's entry point reads GF_…__FILE variables; the server itself does not.
  startGrafana = writeShellScriptBin "run.sh" ''
    export GF_SECURITY_ADMIN_PASSWORD="$(cat "$GF_SECURITY_ADMIN_PASSWORD__FILE")"
    exec ${lib.getExe grafana} server --homepath=${grafana}/share/grafana
  '';
in
{
  redis = likeTheLab "redis" {
    "/usr/local/bin/redis-cli" = "${redis}/bin/redis-cli";
    "/usr/local/bin/redis-server" = "${redis}/bin/redis-server";
  };
  prometheus = likeTheLab "prometheus" {
    "/bin/prometheus" = "${prometheus}/bin/prometheus";
    "/bin/promtool" = "${lib.getBin prometheus}/bin/promtool";
  };
  otel-collector = likeTheLab "otel-collector" {
    "/otelcol-contrib" = lib.getExe opentelemetry-collector-contrib;
  };
  # The lab has a stand-in for this one; nixpkgs has the real server.
  grafana = image "grafana" {
    programs."/run.sh" = lib.getExe startGrafana;
    entrypoint = [ "/run.sh" ];
    user = "472:0";
  };
}
