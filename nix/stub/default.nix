# The package set: every package is a real derivation (so that interpolation, argument checks and drvPath behave) whose
# builder refuses to run.
{
  system,
  overlays ? [ ],
}:
let
  lib = import ./lib.nix;

  package =
    name: attrs:
    let
      # The inputs must be part of the derivation, or a broken one would never be forced.
      inputs = builtins.toJSON (
        removeAttrs attrs [
          "meta"
          "passthru"
        ]
      );
      drv = derivation {
        inherit name system inputs;
        builder = "/bin/false";
      };
    in
    drv
    // attrs.passthru or { }
    // {
      inherit name;
      meta = attrs.meta or { };
      nativeBuildInputs = attrs.nativeBuildInputs or [ ];
      overrideAttrs =
        change:
        let
          new = attrs // change (attrs // { nativeBuildInputs = attrs.nativeBuildInputs or [ ]; });
        in
        package (new.pname or name) new;
    };

  onlyKnown =
    what: known: attrs:
    let
      unknown = lib.filter (name: !lib.elem name known) (lib.attrNames attrs);
    in
    lib.assertMsg (unknown == [ ]) "${what} has no argument ${toString unknown}";

  names = import ./packages.nix;

  base =
    self:
    lib.genAttrs names.plain (name: package name { meta.mainProgram = name; })
    // lib.mapAttrs (name: mainProgram: package name { meta = { inherit mainProgram; }; }) names.programs
    // {
      inherit lib;
      pkgsStatic = self;
      llvmPackages.llvm = package "llvm" { };
      k3s = package "k3s" { passthru.airgap-images = package "k3s-airgap-images.tar.zst" { }; };

      callPackage =
        file: given:
        let
          function = import file;
          wanted = builtins.functionArgs function;
          argument = name: given.${name} or self.${name} or (throw "${toString file} asks for ${name}, which is neither given nor a package");
        in
        assert onlyKnown (toString file) (lib.attrNames wanted) given;
        function (lib.mapAttrs (name: _: argument name) wanted);

      runCommand =
        name: env: script:
        package name (env // { inherit script; });
      writeText = name: text: package name { inherit text; };
      writeShellScriptBin =
        name: text:
        package name {
          inherit text;
          meta.mainProgram = name;
        };
      mkShell =
        attrs:
        assert onlyKnown "mkShell" [
          "inputsFrom"
          "packages"
        ] attrs;
        package "shell" { inputs = map toString (attrs.inputsFrom ++ attrs.packages); };

      rustPlatform.buildRustPackage =
        attrs:
        let
          lock = lib.importTOML attrs.cargoLock.lockFile;
          fromGit = lib.filter (crate: lib.hasPrefix "git+" (crate.source or "")) lock.package;
        in
        assert onlyKnown "buildRustPackage" names.rustArguments attrs;
        # importCargoLock needs a hash for each of these, and nobody gave one.
        assert lib.assertMsg (fromGit == [ ]) "Cargo.lock has crates from git: ${toString (map (crate: crate.name) fromGit)}";
        package "${attrs.pname}-${attrs.version}" attrs;

      dockerTools = {
        fakeNss = package "fake-nss" { };
        buildLayeredImage =
          attrs:
          assert onlyKnown "buildLayeredImage" names.imageArguments attrs;
          package "${baseNameOf attrs.name}.tar.gz" (
            attrs
            // {
              passthru = {
                imageName = attrs.name;
                imageTag = attrs.tag;
              };
            }
          );
      };

      testers.runNixOSTest = import ./nixos-test.nix {
        inherit lib package;
        pkgs = self;
      };
    };

  extended = lib.foldl' (
    set: overlay: final:
    let
      previous = set final;
    in
    previous // overlay final previous
  ) base overlays;
  packages = extended packages;
in
packages
