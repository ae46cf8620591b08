{
  description = "GlooNetwork Operator: packages, OCI images, OLM bundle, checks and NixOS VM tests";

  # The only input. flake.lock pins it; nix/stub takes its place where nixpkgs cannot be fetched.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      perSystem =
        make:
        lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
          system:
          make (
            import nixpkgs {
              inherit system;
              overlays = [ self.overlays.default ];
            }
          )
        );
    in
    {
      overlays.default = import ./nix/overlay.nix {
        # Time and origin of everything packed here: of the commit, so that one commit gives one digest.
        modified = self.lastModifiedDate or "19700101000000";
        revision = self.rev or self.dirtyRev or "unknown";
      };

      packages = perSystem (
        { gloonet, ... }:
        gloonet.binaries
        // lib.mapAttrs' (name: lib.nameValuePair "image-${name}") gloonet.images
        // {
          inherit (gloonet)
            bundle
            bundle-image
            crds
            datapath-object
            install
            ;
          default = gloonet.binaries.gloonet-operator;
        }
      );

      checks = perSystem (
        pkgs: import ./nix/checks.nix { inherit pkgs; } // import ./nixos-tests { inherit pkgs; }
      );

      devShells = perSystem (pkgs: {
        default = import ./nix/shell.nix { inherit pkgs; };
      });

      formatter = perSystem (pkgs: pkgs.nixfmt);
    };
}
