# One VM test per behaviour: BEHAVIOUR.nix says which machines, BEHAVIOUR.py says what happens.
{ pkgs }:
let
  inherit (pkgs) gloonet lib;

  # k3s imports the files of agent/images by the derivation's name: archives only, and no two of one name.
  archives =
    let
      all =
        lib.attrValues gloonet.images ++ lib.attrValues gloonet.testImages ++ [ pkgs.k3s.airgap-images ];
      isArchive = image: builtins.match ".*[.]tar([.](gz|zst))?" image.name != null;
      names = map (image: image.name) all;
    in
    assert lib.assertMsg (lib.all isArchive all) "a VM test was given an image that is not an archive";
    assert lib.assertMsg (lib.unique names == names) "two images of the VM tests share one file name";
    all;

  vmTest =
    file:
    pkgs.testers.runNixOSTest {
      imports = [ file ];
      _module.args = {
        inherit archives gloonet;
      };
    };
in
{
  vm-main-job = vmTest ./main-job.nix;
}
