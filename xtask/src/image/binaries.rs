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
    cargo(root, packages)
}

/// Builds a program that is in no image as those are built, and says where it is.
pub fn build_beside(package: &str) -> Result<PathBuf> {
    cargo(&home::root()?, BTreeSet::from([package]))?;
    path(package)
}

fn cargo(root: &Path, packages: BTreeSet<&str>) -> Result<()> {
    let target = home::target()?;
    let mut command = Command::new("cargo");
    command
        .current_dir(root)
        .args(["build", "--quiet", "--profile", "image"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target.join("image"))
        .envs(flags(&target)?);
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

/// Static, and without a path of this machine. The root is not mapped, and so all work trees share what they depend on: cargo names
/// the members' files from there. What build scripts write is under the target folder.
fn flags(target: &Path) -> Result<[(&'static str, String); 2]> {
    let cargo_home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| home + "/.cargo"))?;
    let target = target.display().to_string();
    let each = |option: &str| format!("{option}={target}=/target {option}={cargo_home}=/cargo");
    let rust = format!(
        "-C target-feature=+crt-static {}",
        each("--remap-path-prefix")
    );
    Ok([("RUSTFLAGS", rust), ("CFLAGS", each("-ffile-prefix-map"))])
}
