//! `xtask programs`: builds the lab's programs from pinned sources, each once per change.
//!
//! A build lands in `$GLOONET_HOME/programs/<name>-<key>/` by one rename, and `$GLOONET_HOME/bin/<binary>` points at it.
//! The key covers the sources, the flags and the compiler, so a folder that exists is right and is never built again.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::progress::Step;
use crate::{home, process};

/// Arguments of `xtask programs`.
#[derive(Debug, Default, clap::Args)]
pub struct Arguments {
    /// Programs to build; without a name, all of them.
    names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    program: Vec<Program>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    name: String,
    usual_seconds: u64,
    #[serde(default)]
    compiler: Compiler,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    ldflags: Vec<String>,
    /// File name to Go package (or C source).
    binaries: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Compiler {
    #[default]
    Go,
    C,
}

impl Compiler {
    fn version(self) -> Result<String> {
        match self {
            Self::Go => process::output(Command::new("go").arg("version")),
            Self::C => process::output(Command::new("gcc").arg("-dumpfullversion")),
        }
    }
}

/// Builds what is missing among the named programs (all, if none is named).
pub fn run(arguments: &Arguments) -> Result<()> {
    let sources = home::root()?.join("lab/programs");
    let table = read_table(&sources)?;
    for name in &arguments.names {
        if !table.program.iter().any(|program| program.name == *name) {
            let known: Vec<&str> = table
                .program
                .iter()
                .map(|program| program.name.as_str())
                .collect();
            bail!(
                "no program is called {name}; there are {}",
                known.join(", ")
            );
        }
    }
    let built = home::cache_folder("programs")?;
    let bin = home::cache_folder("bin")?;
    // Two runs at once would build the same thing twice: the second waits and then finds it built.
    let lock = File::create(built.join(".lock")).context("create the build lock")?;
    lock.lock().context("wait for the build lock")?;
    for program in &table.program {
        if arguments.names.is_empty() || arguments.names.contains(&program.name) {
            let folder = ensure(program, &sources.join(&program.name), &built)?;
            for binary in program.binaries.keys() {
                link(&folder.join(binary), &bin.join(binary))?;
            }
        }
    }
    Ok(())
}

fn read_table(sources: &Path) -> Result<Table> {
    let path = sources.join("programs.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("parse {}", path.display()))
}

fn ensure(program: &Program, source: &Path, built: &Path) -> Result<PathBuf> {
    let key = key(program, source, &program.compiler.version()?)?;
    let folder = built.join(format!("{}-{key}", program.name));
    if folder.is_dir() {
        return Ok(folder);
    }
    let draft = tempfile::Builder::new()
        .prefix(&format!(".{}-", program.name))
        .tempdir_in(built)
        .context("make a build folder")?;
    let names: Vec<&str> = program.binaries.keys().map(String::as_str).collect();
    let mut step = Step::start(
        &program.name,
        &names.join(", "),
        Duration::from_secs(program.usual_seconds),
    );
    for (binary, package) in &program.binaries {
        let mut command = build_command(program, source, package, &draft.path().join(binary));
        process::run_logged(&mut command, &format!("build-{binary}"), &mut step)
            .with_context(|| format!("build {binary}"))?;
    }
    let draft = draft.keep();
    fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .context("open the build folder")?;
    fs::rename(&draft, &folder)
        .with_context(|| format!("move the build to {}", folder.display()))?;
    step.done();
    Ok(folder)
}

fn build_command(program: &Program, source: &Path, package: &str, out: &Path) -> Command {
    match program.compiler {
        Compiler::Go => {
            let ldflags = format!("-s -w {}", program.ldflags.join(" "));
            let mut command = Command::new("go");
            command
                .current_dir(source)
                .env("CGO_ENABLED", "0")
                .env("GOFLAGS", "-mod=readonly -buildvcs=false");
            command.args([
                "build",
                "-trimpath",
                "-tags",
                &program.tags.join(","),
                "-ldflags",
                ldflags.trim_end(),
                "-o",
            ]);
            command.arg(out).arg(package);
            command
        }
        Compiler::C => {
            let mut command = Command::new("gcc");
            command
                .current_dir(source)
                .args(["-static", "-Os", "-s", "-Wall", "-Werror", "-o"])
                .arg(out)
                .arg(package);
            command
        }
    }
}

/// Twelve hexadecimal digits over everything that decides what the build yields.
fn key(program: &Program, source: &Path, compiler: &str) -> Result<String> {
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    };
    add(compiler.as_bytes());
    add(format!(
        "{:?}{:?}{:?}",
        program.tags, program.ldflags, program.binaries
    )
    .as_bytes());
    for path in source_files(source)? {
        add(path.file_name().unwrap_or_default().as_encoded_bytes());
        add(&fs::read(&path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(hex(&digest.finalize())[..12].to_owned())
}

fn source_files(source: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(source).with_context(|| format!("list {}", source.display()))? {
        let path = entry.context("list a source folder")?.path();
        if path
            .extension()
            .and_then(OsStr::to_str)
            .is_some_and(|kind| ["c", "go", "mod", "sum"].contains(&kind))
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Points `at` to `target` in one rename, so that a reader never finds it missing.
fn link(target: &Path, at: &Path) -> Result<()> {
    if fs::read_link(at).is_ok_and(|now| now == target) {
        return Ok(());
    }
    let draft = at.with_extension("new");
    let _absent = fs::remove_file(&draft);
    symlink(target, &draft).with_context(|| format!("link {}", draft.display()))?;
    fs::rename(&draft, at).with_context(|| format!("link {}", at.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause() -> Program {
        let binaries = BTreeMap::from([("pause".to_owned(), "pause.c".to_owned())]);
        Program {
            name: "pause".into(),
            usual_seconds: 1,
            compiler: Compiler::C,
            tags: vec![],
            ldflags: vec![],
            binaries,
        }
    }

    #[test]
    fn the_key_changes_with_sources_flags_and_compiler_and_with_nothing_else() {
        let source = tempfile::tempdir().unwrap();
        fs::write(
            source.path().join("pause.c"),
            "int main(void) { return 0; }",
        )
        .unwrap();
        let first = key(&pause(), source.path(), "12").unwrap();
        fs::write(source.path().join("README"), "not a source").unwrap();
        assert_eq!(key(&pause(), source.path(), "12").unwrap(), first);
        assert_ne!(key(&pause(), source.path(), "13").unwrap(), first);
        assert_ne!(
            key(
                &Program {
                    tags: vec!["x".into()],
                    ..pause()
                },
                source.path(),
                "12"
            )
            .unwrap(),
            first
        );
        fs::write(
            source.path().join("pause.c"),
            "int main(void) { return 1; }",
        )
        .unwrap();
        assert_ne!(key(&pause(), source.path(), "12").unwrap(), first);
    }

    #[test]
    fn a_second_build_of_the_same_sources_is_the_first_one() {
        let (source, built) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(
            source.path().join("pause.c"),
            "int main(void) { return 0; }",
        )
        .unwrap();
        let first = ensure(&pause(), source.path(), built.path()).unwrap();
        let made = fs::metadata(first.join("pause"))
            .unwrap()
            .modified()
            .unwrap();
        let second = ensure(&pause(), source.path(), built.path()).unwrap();
        assert_eq!(first, second);
        assert_eq!(
            fs::metadata(second.join("pause"))
                .unwrap()
                .modified()
                .unwrap(),
            made
        );
    }

    #[test]
    fn a_failed_build_leaves_no_folder_that_looks_built() {
        let (source, built) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(source.path().join("pause.c"), "this is not C").unwrap();
        let error = format!(
            "{:#}",
            ensure(&pause(), source.path(), built.path()).unwrap_err()
        );
        assert!(error.contains("build pause"), "{error}");
        assert_eq!(fs::read_dir(built.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_moves_to_the_newer_build() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("etcd");
        link(Path::new("/old/etcd"), &at).unwrap();
        link(Path::new("/new/etcd"), &at).unwrap();
        assert_eq!(fs::read_link(&at).unwrap(), Path::new("/new/etcd"));
    }
}
