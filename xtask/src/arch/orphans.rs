//! Files no `mod` declares: they look alive and are never compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Finding;
use super::source::SourceFile;
use super::workspace::Crate;

/// Follows `mod name;` from the crate's roots and names every file left over.
pub fn check(package: &Crate, files: &[SourceFile]) -> Vec<Finding> {
    let by_path: BTreeMap<&Path, &SourceFile> = files
        .iter()
        .map(|file| (file.path.as_path(), file))
        .collect();
    let mut reached: BTreeSet<PathBuf> = BTreeSet::new();
    let mut open: Vec<(PathBuf, bool)> = package
        .roots
        .iter()
        .map(|root| (root.clone(), true))
        .collect();
    while let Some((path, is_root)) = open.pop() {
        let Some(file) = by_path.get(path.as_path()) else {
            continue;
        };
        if !reached.insert(path.clone()) {
            continue;
        }
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let below = if is_root {
            folder.clone()
        } else {
            path.with_extension("")
        };
        for module in declared(file) {
            let candidates = match module {
                Declared::Named(name) => vec![
                    below.join(format!("{name}.rs")),
                    below.join(&name).join("mod.rs"),
                ],
                Declared::At(place) => vec![folder.join(place)],
            };
            open.extend(candidates.into_iter().map(|path| (path, false)));
        }
    }
    files
        .iter()
        .filter(|file| !reached.contains(&file.path))
        .map(|file| {
            Finding::error(
                &file.shown,
                "is declared by no `mod`: declare it or delete it",
            )
        })
        .collect()
}

enum Declared {
    Named(String),
    /// `#[path = "…"]`.
    At(String),
}

fn declared(file: &SourceFile) -> Vec<Declared> {
    let mut found = Vec::new();
    let mut at = None;
    for (text, code) in file.text.lines().zip(file.code.lines()) {
        if code.trim_start().starts_with("#[path") {
            at = text.split('"').nth(1).map(ToOwned::to_owned);
            continue;
        }
        let words: Vec<&str> = code.split_whitespace().collect();
        let Some(name) = words
            .windows(2)
            .find(|pair| pair[0] == "mod" && pair[1].ends_with(';'))
            .map(|pair| pair[1].trim_end_matches(';').trim_start_matches("r#"))
        else {
            continue;
        };
        found.push(
            at.take()
                .map_or_else(|| Declared::Named(name.to_owned()), Declared::At),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orphans(files: &[(&str, &str)]) -> Vec<String> {
        let package = Crate {
            roots: vec!["src/lib.rs".into()],
            ..Crate::default()
        };
        let files: Vec<SourceFile> = files
            .iter()
            .map(|(path, text)| SourceFile::new(path.into(), (*path).into(), (*text).into()))
            .collect();
        check(&package, &files)
            .into_iter()
            .map(|finding| finding.place)
            .collect()
    }

    #[test]
    fn a_file_nobody_declares_is_found() {
        let files = [
            ("src/lib.rs", "pub mod a;\n// mod c;\n"),
            ("src/a.rs", "mod b;\n"),
            ("src/a/b.rs", ""),
            ("src/c.rs", ""),
        ];
        assert_eq!(orphans(&files), ["src/c.rs"]);
    }

    #[test]
    fn a_module_with_a_stated_path_is_followed() {
        let files = [
            ("src/lib.rs", "#[path = \"other/x.rs\"]\nmod a;\n"),
            ("src/other/x.rs", ""),
        ];
        assert_eq!(orphans(&files), Vec::<String>::new());
    }

    #[test]
    fn a_declaration_in_a_comment_declares_nothing() {
        assert_eq!(
            orphans(&[("src/lib.rs", "/* mod a; */\n"), ("src/a.rs", "")]),
            ["src/a.rs"]
        );
    }
}
