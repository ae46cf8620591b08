# The NixOS options that our tests set, by type. An option that is not here fails the evaluation: look it up, then add it.
{ lib }:
let
  option = type: default: { inherit default type; };

  types = {
    bool = builtins.isBool;
    size = value: builtins.isInt value && value > 0;
    string = builtins.isString;
    file = value: builtins.isPath value || builtins.isString value || lib.isDerivation value;
    packages = value: builtins.isList value && lib.all lib.isDerivation value;
    strings = value: builtins.isList value && lib.all builtins.isString value;
    stringSet = value: builtins.isAttrs value && lib.all builtins.isString (lib.attrValues value);
    manifests =
      value:
      builtins.isAttrs value
      && lib.all (
        manifest:
        lib.attrNames manifest == [ "content" ] && manifest.content ? kind && manifest.content ? apiVersion
        || lib.attrNames manifest == [ "source" ] && types.file manifest.source
      ) (lib.attrValues value);
    k3sRole =
      value:
      lib.elem value [
        "agent"
        "server"
      ];
  };
in
{
  environment = {
    sessionVariables = option types.stringSet { };
    systemPackages = option types.packages [ ];
  };
  networking = {
    firewall.enable = option types.bool true;
    hostName = option types.string "";
    primaryIPAddress = option types.string "";
  };
  services.k3s = {
    disable = option types.strings [ ];
    enable = option types.bool false;
    extraFlags = option types.strings [ ];
    images = option types.packages [ ];
    manifests = option types.manifests { };
    nodeIP = option types.string "";
    role = option types.k3sRole "server";
    serverAddr = option types.string "";
    tokenFile = option types.file "";
  };
  virtualisation = {
    cores = option types.size 1;
    diskSize = option types.size 1024;
    memorySize = option types.size 1024;
  };
}
