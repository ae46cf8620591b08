//! What an image is: one file per image in `xtask/images/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process;

/// The host every lab image is found under; the lab's GlooNetwork names it as its mirror.
pub const MIRROR: &str = "lab.gloonet.local";

/// One image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// The file's name, and the archive's.
    pub name: String,
    /// Upstream reference with its tag.
    pub reference: String,
    /// Everything else, as written.
    pub fields: Fields,
}

/// The file as written.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// Name in `release.lock`, which then says reference and version.
    lock: Option<String>,
    /// Reference with tag, for images no release names.
    reference: Option<String>,
    /// One line for `org.opencontainers.image.description`.
    pub description: String,
    /// `uid:gid`.
    pub user: String,
    #[serde(default)]
    pub entrypoint: Vec<String>,
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default = "root_folder")]
    pub workdir: String,
    /// The image this one stands in for, said in a label.
    pub stand_in_for: Option<String>,
    /// Also import it under upstream's own name: what nodes and test programs ask for before any mirror is configured.
    #[serde(default)]
    as_upstream: bool,
    /// Add static busybox and a link per applet.
    #[serde(default)]
    pub busybox: bool,
    /// Path in the image to where it comes from.
    pub files: BTreeMap<String, Source>,
    /// Further names of files: path in the image to what it points at.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Names in `/etc/passwd` and `/etc/group` besides root and nobody.
    #[serde(default)]
    pub users: BTreeMap<String, u32>,
    #[serde(default)]
    pub directories: Vec<Directory>,
    claim: Option<Claim>,
}

fn root_folder() -> String {
    "/".to_owned()
}

/// A folder with an owner or mode of its own.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    pub path: String,
    #[serde(default = "root_owner")]
    pub owner: String,
    /// Octal.
    #[serde(default = "plain_mode")]
    pub mode: String,
}

fn root_owner() -> String {
    "0:0".to_owned()
}

fn plain_mode() -> String {
    "0755".to_owned()
}

/// Where a file comes from.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub enum Source {
    /// `cargo:PACKAGE/BINARY`, built with the image profile.
    Cargo { package: String, binary: String },
    /// `program:NAME` of `xtask programs`.
    Program(String),
    /// `debian:/path` of an installed package, with the shared libraries it needs.
    Debian(PathBuf),
}

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once(':') {
            Some(("cargo", rest)) => match rest.split_once('/') {
                Some((package, binary)) => Ok(Self::Cargo {
                    package: package.into(),
                    binary: binary.into(),
                }),
                None => Err(format!("{text}: want cargo:PACKAGE/BINARY")),
            },
            Some(("program", name)) => Ok(Self::Program(name.into())),
            Some(("debian", path)) => Ok(Self::Debian(path.into())),
            _ => Err(format!("{text}: want cargo:, program: or debian:")),
        }
    }
}

/// A program that must print the tag's version, so that no image carries another version than its name says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Claim {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Definition {
    /// The names the lab imports the image under.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![mirrored(&self.reference)];
        if self.fields.as_upstream {
            names.push(self.reference.clone());
        }
        names
    }

    /// The tag.
    pub fn version(&self) -> &str {
        self.reference.rsplit_once(':').map_or("", |(_, tag)| tag)
    }

    /// Refuses when the program named by the claim does not print the tag's version.
    pub fn check_claim(&self) -> Result<()> {
        let Some(claim) = &self.fields.claim else {
            return Ok(());
        };
        let printed = process::output(Command::new(&claim.program).args(&claim.arguments))?;
        let version = self.version().trim_start_matches('v');
        if !printed.contains(version) {
            let said = printed.lines().next().unwrap_or_default();
            bail!(
                "{} is not version {version}: it prints \"{said}\"",
                claim.program.display()
            );
        }
        Ok(())
    }
}

/// `docker.io/library/redis:7.0.15` → `lab.gloonet.local/library/redis:7.0.15`.
pub fn mirrored(reference: &str) -> String {
    match reference.split_once('/') {
        Some((_registry, path)) => format!("{MIRROR}/{path}"),
        None => format!("{MIRROR}/{reference}"),
    }
}

#[derive(Deserialize)]
struct Lock {
    image: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    reference: String,
    version: String,
}

/// Reads every definition, sorted by name, with references taken from `release.lock` where it names the image.
pub fn read_all(root: &Path) -> Result<Vec<Definition>> {
    let lock = root.join("release.lock");
    let lock: Lock = parse(&lock)?;
    let folder = root.join("xtask/images");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("list {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(|| format!("list {}", folder.display()))?;
    paths.sort();
    paths.iter().map(|path| read(path, &lock)).collect()
}

fn read(path: &Path, lock: &Lock) -> Result<Definition> {
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let fields: Fields = parse(path)?;
    let reference = match (&fields.lock, &fields.reference) {
        (Some(entry), None) => lock
            .image
            .iter()
            .find(|image| image.name == *entry)
            .map(|image| format!("{}:{}", image.reference, image.version))
            .with_context(|| format!("{}: release.lock has no image {entry}", path.display()))?,
        (None, Some(reference)) => reference.clone(),
        _ => bail!("{}: say either lock or reference", path.display()),
    };
    Ok(Definition {
        name,
        reference,
        fields,
    })
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("parse {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_replaces_the_registry_and_keeps_path_and_tag() {
        assert_eq!(
            mirrored("docker.io/library/redis:7.0.15"),
            "lab.gloonet.local/library/redis:7.0.15"
        );
        assert_eq!(
            mirrored("lab.gloonet.local/gloonetwork/x:1"),
            "lab.gloonet.local/gloonetwork/x:1"
        );
    }

    #[test]
    fn every_definition_of_the_project_parses_and_has_a_tag() {
        let all = read_all(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap();
        assert!(all.len() >= 10);
        for image in all {
            assert!(
                !image.version().is_empty() && image.version() != "latest",
                "{}",
                image.reference
            );
        }
    }

    #[test]
    fn a_link_points_at_a_file_of_its_image() {
        let all = read_all(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap();
        let mut seen = 0;
        for image in &all {
            for (path, target) in &image.fields.links {
                let at = Path::new(path).with_file_name(target);
                let file = image.fields.files.contains_key(&*at.to_string_lossy());
                assert!(file, "{}: {path} points at nothing", image.name);
                seen += 1;
            }
        }
        assert!(seen > 0);
    }

    #[test]
    fn an_image_that_stands_in_for_another_never_bears_its_name() {
        let all = read_all(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap();
        let mut seen = 0;
        for image in all {
            if let Some(real) = &image.fields.stand_in_for {
                seen += 1;
                assert!(
                    !image
                        .names()
                        .iter()
                        .any(|name| name.starts_with(&mirrored(real)) || name.starts_with(real))
                );
            }
        }
        assert_eq!(seen, 4);
    }

    #[test]
    fn a_program_of_another_version_than_the_tag_is_refused() {
        let fields: Fields = toml::from_str(
            "description = ''\nuser = '0:0'\n[files]\n[claim]\nprogram = '/bin/echo'\narguments = ['version 6.2']",
        )
        .unwrap();
        let image = Definition {
            name: "redis".into(),
            reference: "docker.io/library/redis:7.0.15".into(),
            fields,
        };
        let error = image.check_claim().unwrap_err().to_string();
        assert_eq!(
            error,
            "/bin/echo is not version 7.0.15: it prints \"version 6.2\""
        );
    }
}
