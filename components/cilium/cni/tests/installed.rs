//! The program as it is built installs itself, and what it put on a node is found again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cilium_cni::install::{BINARY, CONFLIST};
use cilium_cni::installed::{Installed, installed};

struct Node {
    root: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["bin", "net.d"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn installed(&self) -> Installed {
        installed(&self.path("bin"), &self.path("net.d")).unwrap()
    }
}

#[test]
fn what_the_installer_put_on_a_node_is_found_again_and_what_it_renamed_is_told() {
    let node = Node::new();
    assert_eq!(node.installed(), Installed::default());
    fs::write(node.path("net.d/10-flannel.conflist"), b"{}").unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_cilium-cni"))
        .arg("install")
        .arg(format!("--bin-dir={}", node.path("bin").display()))
        .arg(format!("--conf-dir={}", node.path("net.d").display()))
        .status()
        .unwrap();
    assert!(done.success());
    let expected = Installed {
        ours: vec![
            node.path("net.d").join(CONFLIST),
            node.path("bin").join(BINARY),
        ],
        displaced: vec![node.path("net.d/10-flannel.conflist.cilium_bak")],
    };
    assert_eq!(node.installed(), expected);
}

#[test]
fn ciliums_own_plugin_and_configuration_of_the_same_names_are_not_ours() {
    let node = Node::new();
    fs::write(node.path("bin").join(BINARY), b"\x7fELF another cilium-cni").unwrap();
    let theirs = r#"{"cniVersion": "0.3.1", "name": "cilium", "plugins": [{"type": "cilium-cni", "log-file": "x"}]}"#;
    for text in [theirs, "no JSON"] {
        fs::write(node.path("net.d").join(CONFLIST), text).unwrap();
        assert_eq!(node.installed(), Installed::default());
    }
}
