# Tools for working on the project with Nix; `./dev setup` brings the same on Debian.
{ pkgs }:
pkgs.mkShell {
  inputsFrom = [ pkgs.gloonet.workspace ];
  packages = [
    pkgs.cargo-deny
    pkgs.clippy
    pkgs.deadnix
    pkgs.kubectl
    pkgs.nixfmt
    pkgs.rustfmt
    pkgs.skopeo
    pkgs.statix
  ];
}
