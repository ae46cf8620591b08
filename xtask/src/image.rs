//! `xtask image`: writes the images of our binaries, and those only the lab needs, as OCI archives.
//!
//! An archive depends on nothing but its content: no time, no path, no owner of this machine. `images/index.json` in
//! `$GLOONET_HOME` lists what there is; an image whose inputs did not change is left alone.

pub mod archive;
pub mod binaries;
pub mod content;
pub mod definition;
pub mod index;
pub mod libraries;
pub mod variant;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::home;
use crate::progress::Step;
use content::Content;
use definition::Definition;
use index::{Index, Row};

/// Arguments of `xtask image`.
#[derive(Debug, Default, clap::Args)]
pub struct Arguments {
    /// Images to write; without a name, all of them.
    names: Vec<String>,
}

/// Writes the named images (all, if none is named) where their inputs changed.
pub fn run(arguments: &Arguments) -> Result<()> {
    let root = home::root()?;
    let all = definition::read_all(&root)?;
    for name in &arguments.names {
        if !all.iter().any(|image| image.name == *name) {
            let known: Vec<&str> = all.iter().map(|image| image.name.as_str()).collect();
            bail!("no image is called {name}; there are {}", known.join(", "));
        }
    }
    let wanted: Vec<Definition> = all
        .into_iter()
        .filter(|image| arguments.names.is_empty() || arguments.names.contains(&image.name))
        .collect();
    binaries::build(&root, &wanted)?;
    let folder = home::cache_folder("images")?;
    for image in &wanted {
        ensure(image, &folder).with_context(|| format!("image {}", image.name))?;
    }
    Ok(())
}

fn ensure(image: &Definition, folder: &Path) -> Result<()> {
    let content = Content::collect(image)?;
    let inputs = content.fingerprint(image)?;
    let mut index = Index::read(folder)?;
    if index.is_current(&image.name, &inputs, folder) {
        return Ok(());
    }
    image.check_claim()?;
    let file = format!("{}.tar", image.name);
    let step = Step::start(
        &format!("image {}", image.name),
        &image.reference,
        Duration::from_secs(4),
    );
    let written = archive::write(image, &content, &folder.join(&file))?;
    index.put(Row {
        name: image.name.clone(),
        reference: image.reference.clone(),
        names: image.names(),
        file,
        digest: written.digest,
        config: written.config,
        inputs,
    });
    index.write(folder)?;
    step.done();
    Ok(())
}
