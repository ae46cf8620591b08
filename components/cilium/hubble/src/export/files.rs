//! A file that makes room: when it is full it is put aside under a number, and of those put aside the oldest are removed.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, fchown},
    path::{Path, PathBuf},
};

/// Its owner writes, its group reads, nobody else does either: flows say who talks with whom.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// Where to, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub path: PathBuf,
    /// A file that would be larger is put aside, so a file is larger only by what is written at once.
    pub max_bytes: u64,
    /// Files put aside that are kept, at least one.
    pub backups: usize,
    /// Who reads the files; `None`: the group they get by themselves, and the folder stays as it is.
    pub group: Option<u32>,
}

/// What the disk refused.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot open {path} to write flows to it")]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot write flows to {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot put the full file {path} aside")]
    Rotate { path: PathBuf, source: io::Error },
}

#[derive(Debug)]
pub(super) struct Files {
    settings: Settings,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl Files {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            open: None,
        }
    }

    /// Appends whole lines, all of them or none. After an error the file is opened anew.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), FileError> {
        let added = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let mut open = self.open.take().map_or_else(|| self.open(), Ok)?;
        if open.length > 0 && open.length.saturating_add(added) > self.settings.max_bytes {
            drop(open);
            self.put_aside().map_err(|source| FileError::Rotate {
                path: self.settings.path.clone(),
                source,
            })?;
            open = self.open()?;
        }
        if let Err(source) = open.file.write_all(lines) {
            // Half a line would make one with the next. Where that cannot be taken back either, readers pass over it.
            let _cut = open.file.set_len(open.length);
            let path = self.settings.path.clone();
            return Err(FileError::Write { path, source });
        }
        open.length += added;
        self.open = Some(open);
        Ok(())
    }

    fn open(&self) -> Result<Open, FileError> {
        let path = &self.settings.path;
        self.opened().map_err(|source| FileError::Open {
            path: path.clone(),
            source,
        })
    }

    fn opened(&self) -> io::Result<Open> {
        let folder = folder(&self.settings.path);
        fs::create_dir_all(folder)?;
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .open(&self.settings.path)?;
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        if let Some(group) = self.settings.group {
            fchown(&file, None, Some(group))?;
            chown(folder, None, Some(group))?;
            fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
        }
        let length = file.metadata()?.len();
        Ok(Open { file, length })
    }

    fn put_aside(&self) -> io::Result<()> {
        let path = &self.settings.path;
        let mut numbers = self.numbers()?;
        let next = numbers.last().map_or(1, |last| last + 1);
        match fs::rename(path, self.aside(next)) {
            Ok(()) => numbers.push(next),
            // Somebody took it away; a new one is made.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let more = numbers.len().saturating_sub(self.settings.backups.max(1));
        for number in numbers.into_iter().take(more) {
            fs::remove_file(self.aside(number))?;
        }
        Ok(())
    }

    /// Of the files that are put aside, from the oldest on.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let (stem, ending) = name(&self.settings.path);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder(&self.settings.path))? {
            let name = entry?.file_name();
            let number: Option<u64> = name
                .to_str()
                .and_then(|name| {
                    name.strip_prefix(&stem)?
                        .strip_prefix('-')?
                        .strip_suffix(&ending)
                })
                .and_then(|number| number.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn aside(&self, number: u64) -> PathBuf {
        let (stem, ending) = name(&self.settings.path);
        folder(&self.settings.path).join(format!("{stem}-{number}{ending}"))
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// `events.log` as `events` and `.log`.
fn name(path: &Path) -> (String, String) {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let ending = text(path.extension()).map_or_else(String::new, |ending| format!(".{ending}"));
    (text(path.file_stem()).unwrap_or_default(), ending)
}

#[cfg(test)]
mod tests;
