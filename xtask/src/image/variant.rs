//! The same image with other bytes in its layer, under another name, made from its archive alone.

use std::io::Read;

use anyhow::{Context, Result};
use tar::{Archive, Builder, Header};

use crate::digest::sha256;

const BLOBS: &str = "blobs/sha256/";
const INDEX: &str = "index.json";

/// A file or folder of the archive.
struct Part {
    header: Header,
    path: String,
    data: Vec<u8>,
}

/// The archive with `new` for its name instead of `old`. `change` gets each of its files and says whether it changed it; it has to
/// change one.
pub fn make(
    archive: &[u8],
    (old, new): (&str, &str),
    change: impl Fn(&mut [u8]) -> Result<bool>,
) -> Result<Vec<u8>> {
    let mut parts = read(archive)?;
    let mut changed = 0;
    for part in &mut parts {
        changed += usize::from(change(&mut part.data)?);
    }
    anyhow::ensure!(
        changed == 1,
        "{changed} files of the archive were changed instead of one"
    );
    name_by_digest(&mut parts);
    for part in parts.iter_mut().filter(|part| part.path == INDEX) {
        replace(&mut part.data, old, new);
    }
    write(parts)
}

/// A blob is called by its digest, also by others, whose digests follow.
fn name_by_digest(parts: &mut [Part]) {
    let misnamed = |part: &Part| {
        let old = part.path.strip_prefix(BLOBS)?.to_owned();
        let new = sha256(&part.data).replacen("sha256:", "", 1);
        (!old.is_empty() && old != new).then_some((old, new))
    };
    while let Some((old, new)) = parts.iter().find_map(misnamed) {
        for part in &mut *parts {
            part.path = part.path.replace(&old, &new);
            replace(&mut part.data, &old, &new);
        }
    }
}

/// In what is text.
fn replace(data: &mut Vec<u8>, old: &str, new: &str) {
    if let Ok(text) = std::str::from_utf8(data) {
        *data = text.replace(old, new).into_bytes();
    }
}

fn read(archive: &[u8]) -> Result<Vec<Part>> {
    let mut archive = Archive::new(archive);
    let entries = archive.entries().context("read an image's archive")?;
    let parts = entries.map(|entry| {
        let mut entry = entry?;
        let mut data = Vec::new();
        entry.read_to_end(&mut data)?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let header = entry.header().clone();
        Ok(Part { header, path, data })
    });
    let parts: std::io::Result<_> = parts.collect();
    parts.context("read an image's archive")
}

fn write(parts: Vec<Part>) -> Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for mut part in parts {
        part.header.set_size(part.data.len() as u64);
        tar.append_data(&mut part.header, &part.path, &*part.data)
            .with_context(|| format!("write {}", part.path))?;
    }
    tar.into_inner().context("finish an image's archive")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(path: &str, data: &str) -> Part {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        Part {
            header,
            path: path.to_owned(),
            data: data.into(),
        }
    }

    fn blob(data: &str) -> (String, Part) {
        let digest = sha256(data.as_bytes());
        let path = digest.replacen("sha256:", BLOBS, 1);
        (digest, part(&path, data))
    }

    fn image() -> Vec<u8> {
        let (layer, layer_blob) = blob("old bytes");
        let (manifest, manifest_blob) = blob(&format!("layer {layer}"));
        let index = part(INDEX, &format!("a:1 is {manifest}"));
        write(vec![index, manifest_blob, layer_blob]).unwrap()
    }

    #[test]
    fn other_bytes_in_the_layer_give_other_names_up_to_the_index() {
        let to_new = |data: &mut [u8]| {
            let found = data.starts_with(b"old");
            if found {
                data[..3].copy_from_slice(b"new");
            }
            Ok(found)
        };
        let parts = read(&make(&image(), ("a:1", "a:next"), to_new).unwrap()).unwrap();
        let (layer, layer_blob) = blob("new bytes");
        let (manifest, manifest_blob) = blob(&format!("layer {layer}"));
        let wanted = [
            part(INDEX, &format!("a:next is {manifest}")),
            manifest_blob,
            layer_blob,
        ];
        let plain = |parts: &[Part]| -> Vec<(String, Vec<u8>)> {
            let pairs = parts
                .iter()
                .map(|part| (part.path.clone(), part.data.clone()));
            pairs.collect()
        };
        assert_eq!(plain(&parts), plain(&wanted));
    }

    #[test]
    fn an_image_in_which_nothing_was_changed_is_no_variant() {
        let error = make(&image(), ("a:1", "a:next"), |_| Ok(false)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "0 files of the archive were changed instead of one"
        );
    }
}
