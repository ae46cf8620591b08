# The functions of nixpkgs' lib that the flake calls, by their documented meaning. Any other name fails the evaluation, on
# purpose: look the name up in nixpkgs before it is added.
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    fromTOML
    head
    isAttrs
    isString
    length
    listToAttrs
    mapAttrs
    pathExists
    readFile
    split
    stringLength
    substring
    ;

  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: value: listToAttrs (map (name: nameValuePair name (value name)) names);
  hasPrefix = prefix: string: substring 0 (stringLength prefix) string == prefix;
  unique = foldl' (seen: item: if elem item seen then seen else seen ++ [ item ]) [ ];
in
{
  inherit
    all
    attrNames
    attrValues
    concatMap
    elem
    filter
    foldl'
    genAttrs
    hasPrefix
    head
    length
    listToAttrs
    mapAttrs
    nameValuePair
    unique
    ;

  assertMsg = condition: message: condition || throw message;
  concatStrings = concatStringsSep "";
  filterAttrs =
    keep: set:
    listToAttrs (
      map (name: nameValuePair name set.${name}) (filter (name: keep name set.${name}) (attrNames set))
    );
  getBin = package: package.bin or package;
  getExe =
    package: "${package}/bin/${package.meta.mainProgram or (throw "${package.name} has no meta.mainProgram")}";
  importTOML = file: fromTOML (readFile file);
  isDerivation = value: isAttrs value && value.type or null == "derivation";
  last = list: elemAt list (length list - 1);
  mapAttrs' = change: set: listToAttrs (map (name: change name set.${name}) (attrNames set));
  mapAttrsToList = change: set: map (name: change name set.${name}) (attrNames set);
  optional = condition: item: if condition then [ item ] else [ ];
  splitString = separator: string: filter isString (split separator string);

  licenses.asl20.spdxId = "Apache-2.0";

  # A file set is a list of existing paths here.
  fileset =
    let
      flatten = set: if set ? paths then set.paths else [ set ];
    in
    {
      unions = sets: { paths = concatMap flatten sets; };
      toSource =
        { root, fileset }:
        let
          wanted = map (
            path: if pathExists path then toString path else throw "${toString path} is in a file set but not in the tree"
          ) (flatten fileset);
          below = parent: path: path == parent || hasPrefix "${parent}/" path;
        in
        builtins.path {
          path = root;
          name = "source";
          filter = path: _: any (want: below want path || below path want) wanted;
        };
    };
}
