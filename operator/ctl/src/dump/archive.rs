//! The archive: files in memory, then one .tar.gz that only its owner can read.

use std::{collections::BTreeMap, fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path};

use flate2::{Compression, write::GzEncoder};

/// Files by path.
#[derive(Debug, Default)]
pub(super) struct Archive {
    files: BTreeMap<String, String>,
    errors: String,
}

impl Archive {
    pub(super) fn add(&mut self, path: impl Into<String>, text: String) {
        self.files.insert(path.into(), text);
    }

    /// Takes note of what could not be read.
    pub(super) fn fail(&mut self, what: &str, error: &dyn std::error::Error) {
        let line = [
            what,
            ": ",
            &crate::sentence(error),
            "
",
        ]
        .concat();
        self.errors.push_str(&line);
    }

    pub(super) fn len(&self) -> usize {
        self.files.len() + usize::from(!self.errors.is_empty())
    }

    /// Writes the archive. An existing file is not overwritten.
    pub(super) fn write(mut self, file: &Path) -> io::Result<()> {
        if !self.errors.is_empty() {
            self.files.insert("errors.txt".to_owned(), self.errors);
        }
        let out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)?;
        let mut tar = tar::Builder::new(GzEncoder::new(out, Compression::default()));
        for (path, text) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            tar.append_data(&mut header, format!("gloonet-dump/{path}"), text.as_bytes())?;
        }
        tar.into_inner()?.finish()?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_its_files_and_what_failed_and_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dump.tar.gz");
        let make = || {
            let mut archive = Archive::default();
            archive.add("a.yaml", "x: 1\n".to_owned());
            archive.fail("pods", &io::Error::other("refused"));
            archive.write(&file)
        };
        make().unwrap();
        assert!(make().is_err());
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(
            std::fs::File::open(&file).unwrap(),
        ));
        let names: Vec<_> = tar
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["gloonet-dump/a.yaml", "gloonet-dump/errors.txt"]);
    }
}
