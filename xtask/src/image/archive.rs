//! Writes an OCI image layout into one tar, the same bytes for the same content.
//!
//! Layout: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>. One uncompressed layer: node-local
//! imports gain nothing from compression, and no compressor's version can change the bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::digest::{hex, sha256};

use super::content::{Content, Entry, Kind};
use super::definition::Definition;

/// Raised when archives change for the same content, so that old ones are written again.
pub const FORMAT: u32 = 2;

/// What identifies a written image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Digest of the manifest.
    pub digest: String,
    /// Digest of the configuration.
    pub config: String,
}

/// Writes the archive to `at` by one rename and returns its digests.
pub fn write(image: &Definition, content: &Content, at: &Path) -> Result<Written> {
    let folder = at.parent().context("an archive needs a folder")?;
    let mut layer = tempfile::NamedTempFile::new_in(folder).context("create the layer")?;
    let layer_digest = write_layer(content, layer.as_file_mut())?;
    let layer_size = layer
        .as_file()
        .metadata()
        .context("measure the layer")?
        .len();

    let config = config(image, &layer_digest).to_string();
    let config_digest = sha256(config.as_bytes());
    let manifest =
        manifest((&config_digest, config.len()), (&layer_digest, layer_size)).to_string();
    let manifest_digest = sha256(manifest.as_bytes());

    let draft = tempfile::NamedTempFile::new_in(folder).context("create the archive")?;
    let mut tar = Builder::new(BufWriter::new(draft.as_file()));
    add_text(&mut tar, "oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    add_text(
        &mut tar,
        "index.json",
        &index(image, &manifest_digest, manifest.len()).to_string(),
    )?;
    for folder in ["blobs", "blobs/sha256"] {
        add(
            &mut tar,
            folder,
            EntryType::Directory,
            &Owner::root(0o755),
            0,
            io::empty(),
        )?;
    }
    add_text(&mut tar, &blob(&config_digest), &config)?;
    add_text(&mut tar, &blob(&manifest_digest), &manifest)?;
    let reader = BufReader::new(File::open(layer.path()).context("read the layer")?);
    add(
        &mut tar,
        &blob(&layer_digest),
        EntryType::Regular,
        &Owner::root(0o644),
        layer_size,
        reader,
    )?;
    tar.into_inner()
        .and_then(|mut writer| writer.flush())
        .context("finish the archive")?;
    fs::set_permissions(
        draft.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .context("open the archive")?;
    draft
        .persist(at)
        .with_context(|| format!("move the archive to {}", at.display()))?;
    Ok(Written {
        digest: manifest_digest,
        config: config_digest,
    })
}

// Keys are in alphabetical order here and below: whether serde_json sorts them depends on who else is in the build.
fn manifest(config: (&str, usize), layer: (&str, u64)) -> Value {
    json!({
        "config": {"digest": config.0, "mediaType": "application/vnd.oci.image.config.v1+json", "size": config.1},
        "layers": [{"digest": layer.0, "mediaType": "application/vnd.oci.image.layer.v1.tar", "size": layer.1}],
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "schemaVersion": 2,
    })
}

fn config(image: &Definition, layer: &str) -> Value {
    let fields = &image.fields;
    let mut labels = BTreeMap::from([
        (
            "org.opencontainers.image.description",
            fields.description.as_str(),
        ),
        ("org.opencontainers.image.title", image.name.as_str()),
        ("org.opencontainers.image.version", image.version()),
    ]);
    if let Some(real) = &fields.stand_in_for {
        labels.insert("io.gloonetwork.stand-in-for", real);
    }
    json!({
        "architecture": "amd64",
        "config": {
            "Cmd": fields.command,
            "Entrypoint": fields.entrypoint,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Labels": labels,
            "User": fields.user,
            "WorkingDir": fields.workdir,
        },
        "os": "linux",
        "rootfs": {"diff_ids": [layer], "type": "layers"},
    })
}

fn index(image: &Definition, digest: &str, size: usize) -> Value {
    let manifests: Vec<Value> = image
        .names()
        .iter()
        .map(|name| {
            json!({
                // The first is what containerd names the image by, the second what other tools select by.
                "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
                "digest": digest,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "platform": {"architecture": "amd64", "os": "linux"},
                "size": size,
            })
        })
        .collect();
    json!({"manifests": manifests, "mediaType": "application/vnd.oci.image.index.v1+json", "schemaVersion": 2})
}

struct Owner {
    mode: u32,
    uid: u64,
    gid: u64,
}

impl Owner {
    fn root(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
        }
    }
}

fn write_layer(content: &Content, file: &mut File) -> Result<String> {
    let mut tar = Builder::new(Hashing {
        inner: BufWriter::new(file),
        digest: Sha256::new(),
    });
    for (path, entry) in &content.entries {
        add_entry(&mut tar, path, entry).with_context(|| format!("add /{path}"))?;
    }
    let mut hashing = tar.into_inner().context("finish the layer")?;
    hashing.inner.flush().context("finish the layer")?;
    Ok(format!("sha256:{}", hex(&hashing.digest.finalize())))
}

fn add_entry(tar: &mut Builder<impl Write>, path: &str, entry: &Entry) -> Result<()> {
    let owner = Owner {
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
    };
    match &entry.kind {
        Kind::Directory => add(
            tar,
            &format!("{path}/"),
            EntryType::Directory,
            &owner,
            0,
            io::empty(),
        ),
        Kind::Text(text) => add(
            tar,
            path,
            EntryType::Regular,
            &owner,
            text.len() as u64,
            text.as_bytes(),
        ),
        Kind::File(from) => {
            let file = File::open(from).with_context(|| format!("open {}", from.display()))?;
            let size = file
                .metadata()
                .with_context(|| format!("look at {}", from.display()))?
                .len();
            add(
                tar,
                path,
                EntryType::Regular,
                &owner,
                size,
                BufReader::with_capacity(1 << 20, file),
            )
        }
        Kind::Link(target) => {
            let mut header = header(EntryType::Symlink, &owner, 0);
            tar.append_link(&mut header, path, target)
                .context("write a link")
        }
    }
}

fn add_text(tar: &mut Builder<impl Write>, path: &str, text: &str) -> Result<()> {
    add(
        tar,
        path,
        EntryType::Regular,
        &Owner::root(0o644),
        text.len() as u64,
        text.as_bytes(),
    )
}

fn add(
    tar: &mut Builder<impl Write>,
    path: &str,
    kind: EntryType,
    owner: &Owner,
    size: u64,
    data: impl Read,
) -> Result<()> {
    let mut header = header(kind, owner, size);
    tar.append_data(&mut header, path, data)
        .with_context(|| format!("write {path}"))
}

fn header(kind: EntryType, owner: &Owner, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(owner.mode);
    header.set_uid(owner.uid);
    header.set_gid(owner.gid);
    header.set_mtime(0);
    header.set_size(size);
    header
}

struct Hashing<W> {
    inner: W,
    digest: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn blob(digest: &str) -> String {
    digest.replacen("sha256:", "blobs/sha256/", 1)
}

#[cfg(test)]
mod tests;
