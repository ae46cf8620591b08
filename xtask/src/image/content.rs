//! The files of an image, from wherever they come, in the order of their paths.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::definition::{Definition, Source};
use super::{archive, binaries, libraries};
use crate::digest::sha256;
use crate::{home, process};

const BUSYBOX: &str = "/bin/busybox";

/// One path of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File(PathBuf),
    Text(String),
    Link(String),
}

impl Kind {
    fn by_root(self, mode: u32) -> Entry {
        Entry {
            kind: self,
            mode,
            uid: 0,
            gid: 0,
        }
    }
}

/// Path without the leading slash → entry. Parents come before children because the map is ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub entries: BTreeMap<String, Entry>,
}

impl Content {
    /// Gathers an image's files; the binaries must have been built.
    pub fn collect(image: &Definition) -> Result<Self> {
        let mut content = Self::default();
        content.accounts(&image.fields.users);
        content.put("/tmp", Kind::Directory.by_root(0o1777));
        for (path, source) in &image.fields.files {
            let from = locate(source)?;
            if matches!(source, Source::Debian(_)) {
                content.libraries(&from)?;
            }
            content.put(path, Kind::File(from).by_root(0o755));
        }
        for (path, target) in &image.fields.links {
            content.put(path, Kind::Link(target.clone()).by_root(0o777));
        }
        for directory in &image.fields.directories {
            let (uid, gid) = parse_owner(&directory.owner)?;
            let mode = u32::from_str_radix(&directory.mode, 8).with_context(|| {
                format!("{}: mode {} is not octal", directory.path, directory.mode)
            })?;
            content.put(
                &directory.path,
                Entry {
                    kind: Kind::Directory,
                    mode,
                    uid,
                    gid,
                },
            );
        }
        if image.fields.busybox {
            content.busybox()?;
        }
        Ok(content)
    }

    fn put(&mut self, path: &str, entry: Entry) {
        let path = path.trim_start_matches('/');
        for (at, _) in path.match_indices('/') {
            self.entries
                .entry(path[..at].to_owned())
                .or_insert_with(|| Kind::Directory.by_root(0o755));
        }
        self.entries.insert(path.to_owned(), entry);
    }

    fn accounts(&mut self, users: &BTreeMap<String, u32>) {
        let mut passwd =
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n".to_owned();
        let mut group = "root:x:0:\nnobody:x:65534:\n".to_owned();
        for (name, id) in users {
            let _infallible = writeln!(passwd, "{name}:x:{id}:{id}:{name}:/:/bin/false");
            let _infallible = writeln!(group, "{name}:x:{id}:");
        }
        self.put("/etc/passwd", Kind::Text(passwd).by_root(0o644));
        self.put("/etc/group", Kind::Text(group).by_root(0o644));
        self.put(
            "/etc/nsswitch.conf",
            Kind::Text("hosts: files dns\n".to_owned()).by_root(0o644),
        );
    }

    fn libraries(&mut self, program: &Path) -> Result<()> {
        for library in libraries::of(program)? {
            let real = fs::canonicalize(&library)
                .with_context(|| format!("find {}", library.display()))?;
            self.put(&library.to_string_lossy(), Kind::File(real).by_root(0o755));
        }
        Ok(())
    }

    /// A path that is already something (the image's own program) is not hidden behind an applet.
    fn busybox(&mut self) -> Result<()> {
        self.put(BUSYBOX, Kind::File(BUSYBOX.into()).by_root(0o755));
        let applets = process::output(Command::new(BUSYBOX).arg("--list"))
            .context("list busybox's applets")?;
        for applet in applets.lines().filter(|applet| *applet != "busybox") {
            let path = format!("/bin/{applet}");
            if !self.entries.contains_key(path.trim_start_matches('/')) {
                self.put(&path, Kind::Link("busybox".to_owned()).by_root(0o777));
            }
        }
        Ok(())
    }

    /// Changes when a file, the definition or this program's way of writing changes; cheap, because it reads no content.
    pub fn fingerprint(&self, image: &Definition) -> Result<String> {
        let mut text = format!("{} {image:?}\n", archive::FORMAT);
        for (path, entry) in &self.entries {
            let _infallible = write!(text, "{path} {entry:?}");
            if let Kind::File(from) = &entry.kind {
                let real =
                    fs::canonicalize(from).with_context(|| format!("find {}", from.display()))?;
                let facts =
                    fs::metadata(&real).with_context(|| format!("look at {}", real.display()))?;
                let _infallible = write!(
                    text,
                    " {} {} {}",
                    real.display(),
                    facts.size(),
                    facts.mtime_nsec() + facts.mtime() * 1_000_000_000
                );
            }
            text.push('\n');
        }
        Ok(sha256(text.as_bytes()))
    }
}

fn locate(source: &Source) -> Result<PathBuf> {
    match source {
        Source::Cargo { binary, .. } => binaries::path(binary),
        Source::Program(name) => Ok(home::cache_folder("bin")?.join(name)),
        Source::Debian(path) => Ok(path.clone()),
    }
}

fn parse_owner(owner: &str) -> Result<(u64, u64)> {
    let (uid, gid) = owner
        .split_once(':')
        .with_context(|| format!("owner {owner}: want uid:gid"))?;
    Ok((
        uid.parse().with_context(|| format!("owner {owner}"))?,
        gid.parse().with_context(|| format!("owner {owner}"))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_made_and_come_before_their_children() {
        let mut content = Content::default();
        content.put(
            "/opt/cni/bin/cilium-cni",
            Kind::Text(String::new()).by_root(0o755),
        );
        let paths: Vec<&str> = content.entries.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            ["opt", "opt/cni", "opt/cni/bin", "opt/cni/bin/cilium-cni"]
        );
    }

    #[test]
    fn a_folder_with_an_owner_keeps_it_when_a_file_inside_follows() {
        let mut content = Content::default();
        content.put(
            "/data",
            Entry {
                kind: Kind::Directory,
                mode: 0o755,
                uid: 999,
                gid: 999,
            },
        );
        content.put("/data/x", Kind::Text(String::new()).by_root(0o644));
        assert_eq!(content.entries["data"].uid, 999);
    }
}
