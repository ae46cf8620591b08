//! Another release of the agent, made on the spot: its image with kernel programs of other instructions in it.

use std::fs;

use anyhow::{Context, Result};

use super::agents::{everywhere, use_image};
use super::respelling::respell;
use crate::image::index::Index;
use crate::image::variant;
use crate::lab::Lab;
use crate::{home, process};

const AGENT: &str = "cilium-agent";
pub(super) const REFERENCE: &str = "lab.gloonet.local/gloonetwork/cilium-agent:next";

/// The image, on every node. It goes with this value, and so does what names it.
#[derive(Debug)]
pub(super) struct OtherBuild<'a> {
    lab: &'a Lab,
}

impl<'a> OtherBuild<'a> {
    pub(super) fn load(lab: &'a Lab) -> Result<Self> {
        // A node reads the archive under this path, too.
        let archive = tempfile::NamedTempFile::new_in(home::cache_folder("bench")?);
        let archive = archive.context("make a file for an image")?;
        fs::write(archive.path(), image()?).context("write the other image")?;
        let loaded = Self { lab };
        process::output(lab.command().arg("load").arg(archive.path()))?;
        Ok(loaded)
    }
}

impl Drop for OtherBuild<'_> {
    fn drop(&mut self) {
        // After a run that was broken off the agents are of this image; the GlooNetwork takes them back.
        let _restored = use_image(self.lab, None);
        let remove = format!("ctr --namespace k8s.io images remove {REFERENCE}");
        let _removed = everywhere(self.lab, &remove);
    }
}

/// The archive `./dev up` wrote, with other programs in it.
fn image() -> Result<Vec<u8>> {
    let folder = home::cache_folder("images")?;
    let index = Index::read(&folder)?;
    let mut rows = index.rows().iter().filter(|row| row.name == AGENT);
    let row = rows
        .next()
        .context("there is no image of the agent: ./dev up")?;
    let name = row.names.first().context("the agent's image has no name")?;
    let file = folder.join(&row.file);
    let archive = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    variant::make(&archive, (name, REFERENCE), respell).context("put other programs into the agent")
}
