//! `xtask lock`: asks the registries for the digests `release.lock` lacks, and checks that a release lacks none.

pub mod registry;

use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::home;
use registry::{Name, Registry};

const UNRESOLVED: &str = "unresolved";

/// Arguments of `xtask lock`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only check that every digest is known; a release is made from no other lock.
    #[arg(long)]
    release_check: bool,
}

#[derive(Debug, Deserialize)]
struct Lock {
    image: Vec<Image>,
}

#[derive(Debug, Deserialize)]
struct Image {
    name: String,
    reference: String,
    version: String,
    digest: String,
}

/// Resolves what is unresolved, or checks that nothing is.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = home::root()?.join("release.lock");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let lock: Lock = toml::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
    if arguments.release_check {
        return check(&lock);
    }
    let (text, failures) = resolve(&lock, text)?;
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    if !failures.is_empty() {
        bail!(
            "{} images stay unresolved:\n  {}",
            failures.len(),
            failures.join("\n  ")
        );
    }
    Ok(())
}

fn check(lock: &Lock) -> Result<()> {
    for image in &lock.image {
        let known = image.digest.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64
                && hex
                    .chars()
                    .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        });
        if !known && image.digest != UNRESOLVED {
            bail!(
                "release.lock: the digest of {} is {:?}, which is no sha256 digest",
                image.name,
                image.digest
            );
        }
    }
    let open: Vec<&str> = lock
        .image
        .iter()
        .filter(|image| image.digest == UNRESOLVED)
        .map(|image| image.name.as_str())
        .collect();
    if !open.is_empty() {
        bail!(
            "release.lock has no digest for {}: push our images, then run ./dev lock where the registries can be reached",
            open.join(", ")
        );
    }
    println!(
        "release.lock: {} images, every digest known",
        lock.image.len()
    );
    Ok(())
}

/// Asks for each missing digest and goes on past failures, so that one registry out of reach does not hide the others.
fn resolve(lock: &Lock, mut text: String) -> Result<(String, Vec<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    let registry = Registry::new()?;
    let mut failures = Vec::new();
    for image in lock.image.iter().filter(|image| image.digest == UNRESOLVED) {
        let name = Name::parse(&image.reference)?;
        match runtime.block_on(registry.digest(&name, &image.version)) {
            Ok(digest) => {
                println!("{}: {digest}", image.name);
                text = with_digest(&text, &image.name, &digest)?;
            }
            Err(error) => failures.push(format!(
                "{} ({}:{}): {error:#}",
                image.name, image.reference, image.version
            )),
        }
    }
    Ok((text, failures))
}

/// Replaces one image's digest and leaves every other byte, comments included, as it is.
fn with_digest(text: &str, name: &str, digest: &str) -> Result<String> {
    let mut table = "";
    let mut inside = false;
    let mut done = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let bare = line.trim();
        if bare.starts_with('[') {
            table = bare;
            inside = false;
        } else if table == "[[image]]" && bare == format!("name = \"{name}\"") {
            inside = true;
        }
        if inside && bare.starts_with("digest =") {
            lines.push(format!("digest = \"{digest}\""));
            done = true;
        } else {
            lines.push(line.to_owned());
        }
    }
    if !done {
        bail!("release.lock: found no digest line below name = \"{name}\"");
    }
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Kept.\n[[image]]\nname = \"redis\"\nreference = \"docker.io/library/redis\"\nversion = \"7\"\ndigest = \"unresolved\"\n\n\
                        [[image]]\nname = \"grafana\"\nreference = \"docker.io/grafana/grafana\"\nversion = \"12\"\ndigest = \"unresolved\"\n";

    #[test]
    fn one_digest_changes_and_nothing_else() {
        let changed = with_digest(TEXT, "grafana", "sha256:ab").unwrap();
        assert_eq!(changed.matches("unresolved").count(), 1);
        assert_eq!(changed.replacen("sha256:ab", "unresolved", 1), TEXT);
    }

    #[test]
    fn a_release_with_an_unresolved_image_is_refused_by_name() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let text = with_digest(TEXT, "redis", &digest).unwrap();
        let error = check(&toml::from_str(&text).unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("release.lock has no digest for grafana:"),
            "{error}"
        );
        let text = with_digest(&text, "grafana", &digest).unwrap();
        check(&toml::from_str(&text).unwrap()).unwrap();
    }

    #[test]
    fn an_invented_digest_is_refused() {
        let text = with_digest(TEXT, "redis", "sha256:1234").unwrap();
        let error = check(&toml::from_str(&text).unwrap())
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "release.lock: the digest of redis is \"sha256:1234\", which is no sha256 digest"
        );
    }
}
