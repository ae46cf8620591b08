# What every machine of a cluster has: k3s without its own CNI, kube-proxy and policy controller, and no registry.
{ archives }:
{ config, pkgs, ... }:
{
  virtualisation = {
    cores = 2;
    memorySize = 3072;
    diskSize = 12288;
  };
  # The firewall would sit before the programs under test.
  networking.firewall.enable = false;
  services.k3s = {
    enable = true;
    images = archives;
    nodeIP = config.networking.primaryIPAddress;
    tokenFile = pkgs.writeText "cluster-token" "of-this-test-only";
  };
}
