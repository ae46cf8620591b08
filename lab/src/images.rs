//! The images `xtask image` wrote, and which of them a node still needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::disk;

/// Why the images cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The list could not be read.
    #[error("there is no list of images; write them with `xtask image`")]
    List(#[source] disk::Error),
    /// The list is not what `xtask image` writes.
    #[error("{path} is not a list of images")]
    Parse {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// An image without which no pod starts, or that was asked for, is not there.
    #[error("there is no image {0}; write it with `xtask image`")]
    Missing(String),
}

/// One archive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// Short name.
    pub name: String,
    /// Every name an import of the archive makes.
    #[serde(default)]
    pub names: Vec<String>,
    /// Digest of the manifest.
    pub digest: String,
    /// The archive: absolute, or in the folder of the list.
    file: PathBuf,
    #[serde(skip)]
    folder: PathBuf,
}

impl Image {
    /// Path of the archive.
    pub fn file(&self) -> PathBuf {
        self.folder.join(&self.file)
    }
}

/// Reads the list in the folder of images.
pub fn list(folder: &Path) -> Result<Vec<Image>, Error> {
    let path = folder.join("index.json");
    let text = disk::read(&path).map_err(Error::List)?;
    let mut images: Vec<Image> =
        serde_json::from_str(&text).map_err(|source| Error::Parse { path, source })?;
    for image in &mut images {
        folder.clone_into(&mut image.folder);
    }
    Ok(images)
}

/// The image called `name`.
pub fn named<'a>(images: &'a [Image], name: &str) -> Result<&'a Image, Error> {
    images
        .iter()
        .find(|i| i.name == name)
        .ok_or_else(|| Error::Missing(name.into()))
}

/// What a node has: digest by name, from the table `ctr images ls` prints.
pub fn parse_present(table: &str) -> BTreeMap<String, String> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            Some((columns.next()?.to_owned(), columns.nth(1)?.to_owned()))
        })
        .collect()
}

/// The images that a node with these has to import: any whose names are not all there with their digest.
pub fn missing<'a>(wanted: &'a [Image], present: &BTreeMap<String, String>) -> Vec<&'a Image> {
    let complete = |image: &Image| {
        image
            .names
            .iter()
            .all(|name| present.get(name) == Some(&image.digest))
    };
    wanted.iter().filter(|image| !complete(image)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, digest: &str) -> Image {
        Image {
            name: name.into(),
            names: vec![format!("lab.gloonet.local/{name}:1")],
            digest: digest.into(),
            file: format!("{name}.tar").into(),
            folder: PathBuf::new(),
        }
    }

    #[test]
    fn only_images_whose_digest_is_missing_are_imported() {
        let table = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            lab.gloonet.local/pause:1 application/vnd.oci.image.manifest.v1+json sha256:aa 1.0 KiB linux/amd64 -\n\
            lab.gloonet.local/redis:1 application/vnd.oci.image.manifest.v1+json sha256:old 1.0 MiB linux/amd64 -\n";
        let wanted = [
            image("pause", "sha256:aa"),
            image("redis", "sha256:new"),
            image("coredns", "sha256:cc"),
        ];
        let missing: Vec<_> = missing(&wanted, &parse_present(table))
            .into_iter()
            .map(|i| i.name.as_str())
            .collect();
        assert_eq!(missing, ["redis", "coredns"]);
    }
}
