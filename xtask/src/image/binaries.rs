//! Builds our own binaries for the images, in one cargo invocation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::definition::{self, Definition, Source};
use crate::progress::Step;
use crate::{home, process};

/// Static, so that an image needs no libc of its own and the CNI plugin runs on any host.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where cargo leaves a binary of the image profile.
pub fn path(binary: &str) -> Result<PathBuf> {
    Ok(home::target()?
        .join("image")
        .join(TARGET)
        .join("image")
        .join(binary))
}

/// Builds the binaries of every image.
pub fn build_all() -> Result<()> {
    let root = home::root()?;
    build(&root, &definition::read_all(&root)?)
}

/// Builds the binaries the images name. Paths of this machine are mapped away, so that the bytes are the same anywhere.
pub fn build(root: &Path, images: &[Definition]) -> Result<()> {
    let sources = images.iter().flat_map(|image| image.fields.files.values());
    let packages: BTreeSet<&str> = sources
        .filter_map(|source| match source {
            Source::Cargo { package, .. } => Some(package.as_str()),
            Source::Program(_) | Source::Debian(_) => None,
        })
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    let cargo_home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| home + "/.cargo"))?;
    let target = home::target()?;
    // Not the root: cargo names the members' files from there. What build scripts write is under the target folder.
    let maps = [
        (target.display().to_string(), "/target"),
        (cargo_home, "/cargo"),
    ];
    let flags = |option: &str| {
        let each = maps
            .iter()
            .map(|(from, to)| format!("{option}={from}={to}"));
        each.collect::<Vec<_>>().join(" ")
    };
    let mut command = Command::new("cargo");
    command
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--profile",
            "image",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(target.join("image"))
        .env(
            "RUSTFLAGS",
            format!(
                "-C target-feature=+crt-static {}",
                flags("--remap-path-prefix")
            ),
        )
        .env("CFLAGS", flags("-ffile-prefix-map"));
    for package in &packages {
        command.args(["--package", package]);
    }
    let names: Vec<&str> = packages.into_iter().collect();
    let mut step = Step::start("binaries", &names.join(", "), Duration::from_mins(8));
    process::run_logged(&mut command, "image-binaries", &mut step)
        .context("build the binaries of the images")?;
    step.done();
    Ok(())
}
