//! Sizes and names of files, and the lint table.

use std::fs;

use super::Finding;
use super::rules::{Rules, Shape};
use super::source::SourceFile;
use super::workspace::Crate;

/// Checks one crate's manifest and files.
pub fn check(package: &Crate, files: &[SourceFile], rules: &Rules) -> Vec<Finding> {
    let mut findings: Vec<Finding> = lints(package).into_iter().collect();
    for file in files {
        findings.extend(length(file, &rules.shape));
        findings.extend(name(package, file, &rules.shape));
    }
    findings
}

fn lints(package: &Crate) -> Option<Finding> {
    let manifest = package.folder.join("Cargo.toml");
    let table: Option<toml::Table> = fs::read_to_string(&manifest)
        .ok()
        .and_then(|text| text.parse().ok());
    let inherits = table.is_some_and(|table| {
        table
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool)
            == Some(true)
    });
    (!inherits).then(|| {
        Finding::error(
            &package.name,
            "lacks `[lints] workspace = true` in its Cargo.toml",
        )
    })
}

fn length(file: &SourceFile, shape: &Shape) -> Option<Finding> {
    let lines = file.tests_from;
    if file.path.ends_with("main.rs") && lines > shape.main_lines {
        let text = format!(
            "has {lines} lines, a main.rs at most {}: move the work into the library",
            shape.main_lines
        );
        return Some(Finding::error(&file.shown, text));
    }
    if lines > shape.file_lines_hard {
        let text = format!(
            "has {lines} lines without tests, at most {} are allowed: split it",
            shape.file_lines_hard
        );
        return Some(Finding::error(&file.shown, text));
    }
    (lines > shape.file_lines_soft).then(|| {
        Finding::warning(
            &file.shown,
            format!(
                "has {lines} lines without tests; aim at {}",
                shape.file_lines_soft
            ),
        )
    })
}

/// Names that say nothing, and `mod.rs`, whose content no tab of an editor tells.
fn name(package: &Crate, file: &SourceFile, shape: &Shape) -> Option<Finding> {
    let inside = file
        .path
        .strip_prefix(&package.folder)
        .unwrap_or(&file.path)
        .with_extension("");
    let bad = inside.iter().find(|part| {
        shape
            .forbidden_modules
            .iter()
            .any(|name| *name == part.to_string_lossy())
    })?;
    Some(Finding::error(
        &file.shown,
        format!(
            "is called {}: name it after what it is about",
            bad.to_string_lossy()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::rules::Shape;

    fn shape() -> Shape {
        Shape {
            file_lines_hard: 6,
            file_lines_soft: 4,
            main_lines: 2,
            forbidden_modules: vec!["utils".into(), "mod".into()],
            forbidden_words: vec![],
        }
    }

    fn file(path: &str, lines: usize) -> SourceFile {
        SourceFile::new(path.into(), path.into(), "x();\n".repeat(lines))
    }

    #[test]
    fn a_long_file_is_an_error_and_a_longish_one_a_warning() {
        assert_eq!(length(&file("src/a.rs", 4), &shape()), None);
        assert!(length(&file("src/a.rs", 5), &shape()).unwrap().warning);
        assert!(!length(&file("src/a.rs", 7), &shape()).unwrap().warning);
    }

    #[test]
    fn tests_do_not_count() {
        let text = "x();\n#[cfg(test)]\nmod tests {\n}\n".to_owned() + &"\n".repeat(20);
        assert_eq!(
            length(
                &SourceFile::new("src/a.rs".into(), "src/a.rs".into(), text),
                &shape()
            ),
            None
        );
        assert_eq!(length(&file("src/a/tests.rs", 50), &shape()), None);
    }

    #[test]
    fn a_binary_that_works_itself_is_found() {
        let found = length(&file("src/main.rs", 3), &shape()).unwrap();
        assert!(!found.warning && found.text.contains("move the work into the library"));
    }

    #[test]
    fn a_name_that_says_nothing_is_found_for_files_and_folders() {
        let package = Crate::default();
        assert!(name(&package, &file("src/utils.rs", 1), &shape()).is_some());
        assert!(name(&package, &file("src/utils/net.rs", 1), &shape()).is_some());
        assert!(name(&package, &file("src/net/mod.rs", 1), &shape()).is_some());
        assert!(name(&package, &file("src/net.rs", 1), &shape()).is_none());
    }

    #[test]
    fn a_crate_without_the_workspace_lints_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let package = Crate {
            name: "a".into(),
            folder: folder.path().to_owned(),
            ..Crate::default()
        };
        fs::write(folder.path().join("Cargo.toml"), "[package]\nname = 'a'\n").unwrap();
        assert!(lints(&package).is_some());
        fs::write(
            folder.path().join("Cargo.toml"),
            "[package]\nname = 'a'\n[lints]\nworkspace = true\n",
        )
        .unwrap();
        assert!(lints(&package).is_none());
    }
}
