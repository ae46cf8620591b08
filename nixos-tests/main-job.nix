# The main job: one GlooNetwork turns a cluster without a network into a healthy platform that carries pods between nodes.
{ archives, gloonet, ... }:
let
  node = import ./node.nix { inherit archives; };
  agent =
    { nodes, ... }:
    {
      imports = [ node ];
      services.k3s = {
        role = "agent";
        serverAddr = "https://${nodes.server.networking.primaryIPAddress}:6443";
      };
    };
in
{
  name = "gloonet-main-job";
  nodes = {
    server =
      { config, ... }:
      {
        imports = [ node ];
        environment.systemPackages = [ gloonet.binaries.gloonet ];
        environment.sessionVariables.KUBECONFIG = "/etc/rancher/k3s/k3s.yaml";
        services.k3s = {
          role = "server";
          extraFlags = [
            "--disable-kube-proxy"
            "--disable-network-policy"
            "--flannel-backend=none"
            "--kube-controller-manager-arg=allocate-node-cidrs=false"
          ];
          disable = [
            "metrics-server"
            "servicelb"
            "traefik"
          ];
          manifests = {
            gloonet-10-operator.source = "${gloonet.install}/install.yaml";
            # Nothing serves ClusterIPs before the agent runs, so the operator gets the server's own address.
            gloonet-20-api-server.content = {
              apiVersion = "v1";
              kind = "ConfigMap";
              metadata = {
                name = "gloonet-api-server";
                namespace = "gloonet-system";
              };
              data = {
                host = config.networking.primaryIPAddress;
                port = "6443";
              };
            };
            gloonet-30-network.content = {
              apiVersion = "gloonetwork.io/v1alpha1";
              kind = "GlooNetwork";
              metadata.name = "default";
              spec = {
                clusterName = "vm";
                role = "Standalone";
              };
            };
            gloonet-40-probe.source = ./probe.yaml;
          };
        };
      };
    worker1 = agent;
    worker2 = agent;
  };
  testScript = builtins.readFile ./main-job.py;
}
