//! The shared libraries a program of the distribution needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// Absolute paths of the loader and of every library `program` is linked with.
pub fn of(program: &Path) -> Result<Vec<PathBuf>> {
    let printed = process::output(Command::new("ldd").arg(program))
        .with_context(|| format!("list the libraries of {}", program.display()))?;
    parse(&printed)
}

fn parse(printed: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in printed.lines().map(str::trim) {
        let path = match line.split_once(" => ") {
            Some((name, "not found")) => bail!("library {name} is not installed"),
            Some((_, path)) => path,
            None if line.starts_with('/') => line,
            None => continue,
        };
        let path = path.split(" (").next().unwrap_or(path);
        found.push(PathBuf::from(path));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_and_libraries_are_found_and_the_kernel_page_is_not() {
        let printed = "\tlinux-vdso.so.1 (0x00007f1d89a9e000)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f1d89aa0000)\n";
        let found = parse(printed).unwrap();
        assert_eq!(
            found,
            [
                Path::new("/lib/x86_64-linux-gnu/libc.so.6"),
                Path::new("/lib64/ld-linux-x86-64.so.2")
            ]
        );
    }

    #[test]
    fn a_missing_library_is_named() {
        let error = parse("\tliblzf.so.1 => not found\n").unwrap_err();
        assert_eq!(error.to_string(), "library liblzf.so.1 is not installed");
    }
}
