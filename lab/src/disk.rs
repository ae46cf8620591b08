//! Files of the lab: written whole or not at all, and errors that name the path.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// What could not be done with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading failed.
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Writing failed.
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Removing failed.
    #[error("cannot remove {path}")]
    Remove {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The lock file could not be locked.
    #[error("cannot lock {path}")]
    Lock {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Held as long as it lives; the kernel drops it when the process dies.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its Drop")] Flock<fs::File>);

/// Creates a folder and its parents.
pub fn make_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// Reads a text file.
pub fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// Replaces a file in one step; readers see the old or the new text, never half of one.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    write_mode(path, text, 0o644)
}

/// As [`write`], readable by root only.
pub fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    write_mode(path, text, 0o600)
}

fn write_mode(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        make_dir(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(name);
    let put = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&fresh)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&fresh, path)
    };
    put().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file only when its text would change. Says whether it did.
pub fn write_if_changed(path: &Path, text: &str) -> Result<bool, Error> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(false);
    }
    write(path, text).map(|()| true)
}

/// Removes a folder with all it holds; a folder that is not there is fine.
pub fn remove_dir(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Remove {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Waits for the exclusive lock on `path`, which is created when missing.
pub fn lock(path: &Path) -> Result<Lock, Error> {
    if let Some(folder) = path.parent() {
        make_dir(folder)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|source| Error::Lock {
            path: path.to_owned(),
            source,
        })?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map(Lock)
        .map_err(|(_, errno)| Error::Lock {
            path: path.to_owned(),
            source: errno.into(),
        })
}
