//! Folders that hold nothing but generated files: writing them, and comparing them with what is committed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Text by path below the folder.
pub type Files = BTreeMap<PathBuf, String>;

/// Writes every file and removes what else lies in the folder.
pub fn write(folder: &Path, files: &Files) -> Result<()> {
    for stray in strays(folder, files)? {
        fs::remove_file(&stray).with_context(|| format!("remove {}", stray.display()))?;
    }
    for (name, text) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Errors: one line per file that differs, is missing, or is not generated any more.
pub fn compare(folder: &Path, files: &Files) -> Result<()> {
    let mut differing: Vec<String> = strays(folder, files)?
        .into_iter()
        .map(|path| format!("{} is not generated any more", path.display()))
        .collect();
    for (name, text) in files {
        let path = folder.join(name);
        match fs::read_to_string(&path) {
            Ok(found) if found == *text => {}
            Ok(_) => differing.push(format!("{} is not what the code says", path.display())),
            Err(error) => differing.push(format!("{} cannot be read: {error}", path.display())),
        }
    }
    if !differing.is_empty() {
        bail!(
            "{}\nrun `./dev gen` and commit the result",
            differing.join("\n")
        );
    }
    Ok(())
}

fn strays(folder: &Path, files: &Files) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        if !next.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&next).with_context(|| format!("list {}", next.display()))? {
            let path = entry
                .with_context(|| format!("list {}", next.display()))?
                .path();
            let known = path
                .strip_prefix(folder)
                .is_ok_and(|name| files.contains_key(name));
            if path.is_dir() {
                open.push(path);
            } else if !known {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        Files::from([
            (PathBuf::from("install.yaml"), "a: 1\n".to_owned()),
            (PathBuf::from("manifests/crd.yaml"), "b: 2\n".to_owned()),
        ])
    }

    #[test]
    fn what_was_written_compares_equal() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files()).unwrap();
        compare(folder.path(), &files()).unwrap();
    }

    #[test]
    fn an_edited_a_missing_and_a_left_over_file_are_each_named() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files()).unwrap();
        fs::write(folder.path().join("install.yaml"), "a: 2\n").unwrap();
        fs::rename(
            folder.path().join("manifests/crd.yaml"),
            folder.path().join("manifests/old.yaml"),
        )
        .unwrap();
        let told = compare(folder.path(), &files()).unwrap_err().to_string();
        for part in [
            "install.yaml is not what",
            "crd.yaml cannot be read",
            "old.yaml is not generated any more",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn writing_takes_away_what_is_not_generated_any_more() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files()).unwrap();
        fs::write(folder.path().join("manifests/old.yaml"), "").unwrap();
        write(folder.path(), &files()).unwrap();
        assert!(!folder.path().join("manifests/old.yaml").exists());
    }
}
