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
    /// Programs to build; without a name, all that a cluster needs.
    pub names: Vec<String>,
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
    /// Built only when named: what a cluster runs without.
    #[serde(default)]
    on_demand: bool,
    #[serde(default)]
    compiler: Compiler,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    ldflags: Vec<String>,
    /// File name to Go package (or C source).
    #[serde(default)]
    binaries: BTreeMap<String, String>,
    /// File name to Go package whose tests become a program.
    #[serde(default)]
    tests: BTreeMap<String, String>,
    /// File name to a file of a Go package that a program reads, as `package/file`.
    #[serde(default)]
    data: BTreeMap<String, String>,
}

impl Program {
    /// Every file the build yields.
    fn files(&self) -> impl Iterator<Item = &str> {
        self.binaries
            .keys()
            .chain(self.tests.keys())
            .chain(self.data.keys())
            .map(String::as_str)
    }

    fn is_wanted(&self, names: &[String]) -> bool {
        names.contains(&self.name) || (names.is_empty() && !self.on_demand)
    }
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

/// Builds what is missing among these.
pub fn build(names: &[&str]) -> Result<()> {
    run(&Arguments {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    })
}

/// Builds what is missing among the named programs; among those a cluster needs, if none is named.
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
        if program.is_wanted(&arguments.names) {
            let folder = ensure(program, &sources.join(&program.name), &built)?;
            for file in program.files() {
                link(&folder.join(file), &bin.join(file))?;
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
    let names: Vec<&str> = program.files().collect();
    let mut step = Step::start(
        &program.name,
        &names.join(", "),
        Duration::from_secs(program.usual_seconds),
    );
    let jobs = (program.binaries.iter().map(|job| (BUILD, job)))
        .chain(program.tests.iter().map(|job| (TEST, job)));
    for (verb, (file, package)) in jobs {
        let out = draft.path().join(file);
        let mut command = build_command(program, verb, source, package, &out);
        process::run_logged(&mut command, &format!("build-{file}"), &mut step)
            .with_context(|| format!("build {file}"))?;
    }
    for (file, of) in &program.data {
        copy_data(source, of, &draft.path().join(file)).with_context(|| format!("copy {file}"))?;
    }
    let draft = draft.keep();
    fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .context("open the build folder")?;
    fs::rename(&draft, &folder)
        .with_context(|| format!("move the build to {}", folder.display()))?;
    step.done();
    Ok(folder)
}

/// What `go` is told for a program, and for one made of a package's tests.
const BUILD: &[&str] = &["build"];
const TEST: &[&str] = &["test", "-c"];

fn build_command(
    program: &Program,
    verb: &[&str],
    source: &Path,
    package: &str,
    out: &Path,
) -> Command {
    match program.compiler {
        Compiler::Go => {
            let ldflags = format!("-s -w {}", program.ldflags.join(" "));
            let mut command = Command::new("go");
            command
                .current_dir(source)
                .env("CGO_ENABLED", "0")
                .env("GOFLAGS", "-mod=readonly -buildvcs=false");
            command.args(verb).args([
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

/// The module is there: programs were built from it.
fn copy_data(source: &Path, of: &str, out: &Path) -> Result<()> {
    let (package, file) = of
        .rsplit_once('/')
        .with_context(|| format!("{of}: want package/file"))?;
    let mut command = Command::new("go");
    command
        .current_dir(source)
        .env("GOFLAGS", "-mod=readonly")
        .args(["list", "-f", "{{.Dir}}", package]);
    let folder = process::output(&mut command)?;
    let from = Path::new(folder.trim()).join(file);
    let bytes = fs::read(&from).with_context(|| format!("read {}", from.display()))?;
    fs::write(out, bytes).with_context(|| format!("write {}", out.display()))
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
    if !program.tests.is_empty() {
        add(format!("{:?}", program.tests).as_bytes());
    }
    if !program.data.is_empty() {
        add(format!("{:?}", program.data).as_bytes());
    }
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
mod tests;
