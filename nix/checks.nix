# What `nix flake check` builds besides the packages and the VM tests.
{ pkgs }:
let
  inherit (pkgs) gloonet lib runCommand;

  # The same sources and vendored crates as the real build, with another command.
  cargo =
    name: tool: command:
    gloonet.workspace.overrideAttrs (old: {
      pname = "check-${name}";
      nativeBuildInputs = old.nativeBuildInputs ++ [ tool ];
      buildPhase = command;
      doCheck = false;
      installPhase = "touch $out";
    });

  archives =
    name: script:
    runCommand "check-${name}" {
      nativeBuildInputs = [
        pkgs.gnutar
        pkgs.jq
      ];
    } "${script}\ntouch $out";

  configOf = image: "tar --extract --to-stdout --file ${image} \"$(tar --extract --to-stdout --file ${image} manifest.json | jq --raw-output '.[0].Config')\"";
in
{
  inherit (gloonet) bundle datapath-object install;
  clippy = cargo "clippy" pkgs.clippy "cargo clippy --offline --all-targets -- --deny warnings";
  format = cargo "format" pkgs.rustfmt "cargo fmt --all --check";

  # Only the agent may run as root, and nothing may carry the date of 1970.
  image-users = archives "image-users" (
    lib.concatStrings (
      lib.mapAttrsToList (name: image: ''
        ${configOf image} | jq --exit-status '.config.User == "${
          if name == "cilium-agent" then "0:0" else "65532:65532"
        }" and (.created | startswith("1970") | not)'
      '') gloonet.images
    )
  );

  bundle-image = archives "bundle-image" ''
    mkdir layers
    tar --extract --file ${gloonet.bundle-image} --to-stdout manifest.json | jq --raw-output '.[0].Layers[]' |
      while read -r layer; do
        tar --extract --file ${gloonet.bundle-image} --to-stdout "$layer" | tar --extract --directory layers
      done
    test -f layers/manifests/gloonet-operator.clusterserviceversion.yaml
    test -f layers/metadata/annotations.yaml
    test -z "$(find layers -type l)"
    test ! -e layers/nix
  '';
}
