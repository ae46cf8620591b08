{
  description = "A stand-in for nixpkgs that evaluates our flake and builds nothing";
  outputs = _: { lib = import ./lib.nix; };
}
