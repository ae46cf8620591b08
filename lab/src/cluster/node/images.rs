//! Images in a node's containerd.

use std::path::Path;

use super::Node;
use crate::cluster::Error;
use crate::command;
use crate::images::{self, Image};

impl Node<'_> {
    /// Imports those of the images the node has not got. Says whether there were any.
    pub(in crate::cluster) fn ensure_images(&self, wanted: &[Image]) -> Result<bool, Error> {
        if wanted.is_empty() {
            return Ok(false);
        }
        let table = self.must(&["ctr", "-n", "k8s.io", "images", "ls"])?;
        let missing = images::missing(wanted, &images::parse_present(&table));
        for image in &missing {
            self.import(&image.file())?;
        }
        Ok(!missing.is_empty())
    }

    /// Imports an archive that lies under `$GLOONET_HOME`, the only folder of the machine a node can read.
    pub(in crate::cluster) fn import(&self, archive: &Path) -> Result<(), Error> {
        let archive = archive.display().to_string();
        self.must(&[
            "ctr",
            "-n",
            "k8s.io",
            "images",
            "import",
            "--local",
            "--digests=false",
            &archive,
        ])
        .map(drop)
    }

    fn must(&self, argv: &[&str]) -> Result<String, Error> {
        let output = self.exec(argv.iter().copied())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let line = format!("{} (on {})", argv.join(" "), self.name);
        Err(command::Error::Failed {
            line,
            status: output.status.to_string(),
            stderr,
        }
        .into())
    }
}
