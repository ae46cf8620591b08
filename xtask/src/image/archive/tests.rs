use std::collections::BTreeMap;
use std::process::Command;

use super::*;
use crate::image::definition::{Definition, Fields};

fn image() -> Definition {
    let fields: Fields = toml::from_str(
        "description = 'a test'\nuser = '999:999'\nentrypoint = ['/hello']\nstand_in_for = 'docker.io/x/y'\n[files]",
    )
    .unwrap();
    Definition {
        name: "hello".into(),
        reference: "docker.io/library/hello:1.2".into(),
        fields,
    }
}

fn content(folder: &Path) -> Content {
    fs::write(folder.join("hello"), "#!/bin/sh\necho hello\n").unwrap();
    let by_root = |kind, mode| Entry {
        kind,
        mode,
        uid: 0,
        gid: 0,
    };
    Content {
        entries: BTreeMap::from([
            (
                "data".to_owned(),
                Entry {
                    kind: Kind::Directory,
                    mode: 0o750,
                    uid: 999,
                    gid: 999,
                },
            ),
            (
                "hello".to_owned(),
                by_root(Kind::File(folder.join("hello")), 0o755),
            ),
            ("sh".to_owned(), by_root(Kind::Link("hello".into()), 0o777)),
            ("text".to_owned(), by_root(Kind::Text("t\n".into()), 0o644)),
        ]),
    }
}

#[test]
fn two_writes_of_the_same_content_are_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = write(&image(), &content(one.path()), &one.path().join("a.tar")).unwrap();
    let second = write(&image(), &content(two.path()), &two.path().join("b.tar")).unwrap();
    assert_eq!(first, second);
    assert_eq!(
        fs::read(one.path().join("a.tar")).unwrap(),
        fs::read(two.path().join("b.tar")).unwrap()
    );
}

#[test]
fn other_content_has_another_digest() {
    let folder = tempfile::tempdir().unwrap();
    let first = write(
        &image(),
        &content(folder.path()),
        &folder.path().join("a.tar"),
    )
    .unwrap();
    let mut other = content(folder.path());
    other.entries.get_mut("text").unwrap().kind = Kind::Text("u\n".into());
    assert_ne!(
        write(&image(), &other, &folder.path().join("b.tar")).unwrap(),
        first
    );
}

#[test]
fn skopeo_reads_what_the_definition_says() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("a.tar");
    let written = write(&image(), &content(folder.path()), &at).unwrap();
    let source = format!(
        "oci-archive:{}:lab.gloonet.local/library/hello:1.2",
        at.display()
    );
    let Ok(output) = Command::new("skopeo")
        .args(["inspect", "--config", &source])
        .output()
    else {
        eprintln!("skopeo is not installed; ./dev setup installs it");
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let config: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(config["config"]["User"], "999:999");
    assert_eq!(config["config"]["Entrypoint"], json!(["/hello"]));
    assert_eq!(
        config["config"]["Labels"]["io.gloonetwork.stand-in-for"],
        "docker.io/x/y"
    );
    let raw = Command::new("skopeo")
        .args(["inspect", "--format", "{{.Digest}}", &source])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&raw.stdout).trim(), written.digest);
}
