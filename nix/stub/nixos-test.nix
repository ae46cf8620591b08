# testers.runNixOSTest for evaluation only: modules are functions or sets of plain definitions with `imports`; each defined
# option must exist and have its type, and the rules of the k3s module that a test can break are kept.
{
  lib,
  package,
  pkgs,
}:
let
  options = import ./nixos-options.nix { inherit lib; };
  isOption = node: node ? type && node ? default;

  # All definitions of one module, its imports first.
  definitions =
    args: module:
    let
      loaded = if builtins.isPath module then import module else module;
      body = if builtins.isFunction loaded then loaded args else loaded;
    in
    lib.concatMap (definitions args) (body.imports or [ ]) ++ [ (removeAttrs body [ "imports" ]) ];

  # Refuses a definition of something that is no option, without looking at its value (which may depend on the result).
  checkNames =
    place: known: defined:
    lib.all (
      name:
      let
        here = "${place}${name}";
      in
      if !known ? ${name} then
        throw "The option `${here}' does not exist."
      else
        isOption known.${name} || checkNames "${here}." known.${name} defined.${name}
    ) (lib.attrNames defined);

  merge =
    here: option: values:
    let
      wrong = lib.filter (value: !option.type value) values;
      first = lib.head values;
    in
    if values == [ ] then
      option.default
    else if wrong != [ ] then
      throw "A definition of `${here}' has the wrong type."
    else if builtins.isList first then
      builtins.concatLists values
    else if builtins.isAttrs first && !lib.isDerivation first then
      lib.foldl' (all: value: all // value) { } values
    else if lib.unique values == [ first ] then
      first
    else
      throw "The option `${here}' is defined twice, differently.";

  configure =
    place: known: defined:
    lib.mapAttrs (
      name: option:
      let
        values = map (set: set.${name}) (lib.filter (set: set ? ${name}) defined);
        here = "${place}${name}";
      in
      if isOption option then merge here option values else configure "${here}." option values
    ) known;

  k3sRules =
    name: k3s:
    assert lib.assertMsg (
      k3s.role == "server" || k3s.serverAddr != ""
    ) "${name}: a k3s agent needs services.k3s.serverAddr";
    assert lib.assertMsg (
      k3s.role == "server" || k3s.manifests == { } && k3s.disable == [ ]
    ) "${name}: manifests and disable are for k3s servers";
    true;

  machine =
    nodes: index: name: module:
    let
      own = {
        networking.hostName = name;
        networking.primaryIPAddress = "192.168.1.${toString index}";
      };
      defined = definitions {
        inherit
          config
          lib
          name
          nodes
          pkgs
          ;
      } module ++ [ own ];
      config = configure "" options defined;
    in
    assert lib.all (checkNames "" options) defined;
    assert k3sRules name config.services.k3s;
    config;

  evaluate =
    test:
    let
      names = lib.attrNames test.nodes;
      numbered = lib.genAttrs names (
        name: 1 + lib.length (lib.filter (other: other < name) names)
      );
      nodes = lib.mapAttrs (name: machine nodes numbered.${name} name) test.nodes;
      unknown = lib.filter (
        name:
        !lib.elem name [
          "name"
          "nodes"
          "testScript"
        ]
      ) (lib.attrNames test);
    in
    assert lib.assertMsg (unknown == [ ]) "a VM test has no option ${toString unknown}";
    package "vm-test-${test.name}" {
      inherit (test) testScript;
      machines = builtins.toJSON nodes;
      passthru = { inherit nodes; };
    };
in
{ imports, _module }:
evaluate ((import (lib.head imports)) _module.args)
