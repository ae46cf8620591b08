# Names that are in nixpkgs (looked up by hand); any other is an evaluation error.
{
  plain = [
    "busybox"
    "cargo-deny"
    "clippy"
    "deadnix"
    "gnutar"
    "jq"
    "kubectl"
    "nixfmt"
    "redis"
    "rustfmt"
    "skopeo"
    "statix"
  ];

  # Packages that lib.getExe is asked about, with their main program.
  programs = {
    grafana = "grafana";
    opentelemetry-collector-contrib = "otelcol-contrib";
    prometheus = "prometheus";
  };

  rustArguments = [
    "buildType"
    "cargoBuildFlags"
    "cargoLock"
    "cargoTestFlags"
    "meta"
    "pname"
    "src"
    "version"
  ];

  imageArguments = [
    "config"
    "contents"
    "created"
    "extraCommands"
    "includeStorePaths"
    "mtime"
    "name"
    "tag"
  ];
}
