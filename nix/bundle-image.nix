# The bundle as an image that OLM can unpack: plain files in one layer, no store path, labels equal to annotations.yaml.
{
  bundle,
  created,
  dockerTools,
  lib,
  revision,
  version,
}:
let
  # annotations.yaml is the one source of the labels. Its lines are plain `  key: value`, as `xtask bundle` writes them.
  labels = lib.listToAttrs (
    lib.concatMap (
      line:
      let
        pair = builtins.match "  ([^: ]+): (.+)" line;
      in
      lib.optional (pair != null) (lib.nameValuePair (lib.head pair) (lib.last pair))
    ) (lib.splitString "\n" (builtins.readFile ../bundle/metadata/annotations.yaml))
  );
in
assert lib.assertMsg (labels != { }) "bundle/metadata/annotations.yaml has no annotations";
dockerTools.buildLayeredImage {
  name = "ghcr.io/gloonetwork/gloonet-operator-bundle";
  tag = version;
  inherit created;
  mtime = created;
  # A store path in a layer would be a link into a store that the cluster does not have.
  includeStorePaths = false;
  extraCommands = "cp --recursive --no-preserve=mode ${bundle}/. .";
  config.Labels = labels // {
    "org.opencontainers.image.revision" = revision;
    "org.opencontainers.image.version" = version;
  };
}
