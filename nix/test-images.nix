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
  # Programs at the paths where the upstream image has them.
  tree =
    name: files:
    runCommand "${name}-root" { } (
      "mkdir --mode=1777 --parents $out/tmp\n"
      + lib.concatStrings (
        lib.mapAttrsToList (path: target: ''
          mkdir --parents $out${builtins.dirOf path}
          ln --symbolic ${target} $out${path}
        '') files
      )
    );

  image =
    name:
    {
      files,
      entrypoint,
      user,
    }:
    dockerTools.buildLayeredImage {
      name = release.images.${name}.reference;
      tag = release.images.${name}.version;
      inherit created;
      mtime = created;
      contents = [
        (tree name files)
        busybox
        dockerTools.fakeNss
      ];
      config = {
        Entrypoint = [ entrypoint ];
        User = user;
      };
    };
in
lib.mapAttrs image {
  redis = {
    entrypoint = "redis-server";
    user = "999:999";
    files = {
      "/usr/local/bin/redis-cli" = "${redis}/bin/redis-cli";
      "/usr/local/bin/redis-server" = "${redis}/bin/redis-server";
    };
  };
  prometheus = {
    entrypoint = "/bin/prometheus";
    user = "65534:65534";
    files = {
      "/bin/prometheus" = "${prometheus}/bin/prometheus";
      "/bin/promtool" = "${lib.getBin prometheus}/bin/promtool";
    };
  };
  otel-collector = {
    entrypoint = "/otelcol-contrib";
    user = "10001:10001";
    files."/otelcol-contrib" = lib.getExe opentelemetry-collector-contrib;
  };
  grafana = {
    entrypoint = "/run.sh";
    user = "472:0";
    files."/run.sh" = lib.getExe (
      writeShellScriptBin "run.sh" ''
        exec ${lib.getExe grafana} server --homepath=${grafana}/share/grafana \
          cfg:default.paths.data=''${GF_PATHS_DATA:-/var/lib/grafana} \
          cfg:default.paths.provisioning=''${GF_PATHS_PROVISIONING:-/etc/grafana/provisioning}
      ''
    );
  };
}
