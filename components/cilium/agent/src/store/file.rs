use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use super::form::{Form, take_version};

/// Of a write that has not ended.
const NEXT: &str = "next";
/// Of what could not be read and had to make room.
const ASIDE: &str = "aside";

/// Why what a file says is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(
        "{path} is of version {version}, and this release of the agent reads up to {known}: it is kept for the later one that wrote it"
    )]
    Later {
        path: PathBuf,
        version: usize,
        known: usize,
    },
    #[error("{path} cannot be read and is skipped")]
    Broken {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Unread {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Later { path, .. } | Self::Broken { path, .. } => path,
        }
    }
}

/// `None`: there is no such file.
pub(super) fn read<T: Form + DeserializeOwned>(path: &Path) -> Result<Option<T>, Unread> {
    let broken = |source: io::Error| Unread::Broken {
        path: path.to_owned(),
        source,
    };
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(broken)?,
    };
    let mut file = serde_json::from_slice(&bytes).map_err(|error| broken(error.into()))?;
    let Some(version) = take_version(&mut file) else {
        return Err(broken(io::Error::other("its version is no number")));
    };
    let Some(steps) = T::STEPS.get(version..) else {
        return Err(Unread::Later {
            path: path.to_owned(),
            version,
            known: T::STEPS.len(),
        });
    };
    let state = steps.iter().fold(file, |state, step| step(state));
    serde_json::from_value(state)
        .map(Some)
        .map_err(|error| broken(error.into()))
}

/// What the files of a folder say, by their names.
pub(super) fn read_all<T: Form + DeserializeOwned>(
    folder: &Path,
) -> (BTreeMap<String, T>, Vec<Unread>) {
    let (mut found, mut unread) = (BTreeMap::new(), Vec::new());
    let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(source) => {
            let path = folder.to_owned();
            return (found, vec![Unread::Broken { path, source }]);
        }
    };
    for path in entries.into_iter().map(|entry| entry.path()) {
        let kind = path.extension().unwrap_or_default();
        if kind == NEXT {
            // A write that was cut off.
            let _ = fs::remove_file(&path);
        }
        if kind != "json" {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match read(&path) {
            Ok(state) => found.extend(state.map(|state| (name.into_owned(), state))),
            Err(why) => unread.push(why),
        }
    }
    (found, unread)
}

/// Nobody reads it there but people. What an earlier one left there goes.
pub(super) fn put_aside(path: &Path) -> Result<(), StoreError> {
    match fs::rename(path, path.with_extension(ASIDE)) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::Aside {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// What is not there is removed.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::Remove {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

pub(super) fn write(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let beside = path.with_extension(NEXT);
    let work = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    work().map_err(|source| StoreError::Write {
        path: path.to_owned(),
        source,
    })
}
