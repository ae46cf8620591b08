//! Pages are held to what they speak about: links lead somewhere, commands exist, every alert has its page.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// README, CONTRIBUTING and everything below docs/.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    let mut open = vec![root().join("docs")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// What stands between `start` and `end`, each time.
fn between<'a>(text: &'a str, start: &'a str, end: char) -> impl Iterator<Item = &'a str> {
    text.split(start)
        .skip(1)
        .filter_map(move |rest| rest.split(end).next())
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut dead = Vec::new();
    for page in pages() {
        let text = read(&page);
        for target in between(&text, "](", ')')
            .filter(|target| !target.contains("://") && !target.starts_with('#'))
        {
            let file = target.split('#').next().unwrap();
            if !page.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_dev_command_on_a_page_is_known_to_dev() {
    let printed = Command::new(root().join("dev"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(printed.stdout).unwrap();
    let known: BTreeSet<&str> = help.split([' ', ',', '\n']).collect();
    for page in pages() {
        let text = read(&page);
        for word in between(&text, "./dev ", ' ')
            .filter_map(|rest| rest.split(['`', '\n', '.', ',', ')']).next())
        {
            assert!(
                known.contains(word),
                "{}: ./dev {word} is not in ./dev --help",
                page.display()
            );
        }
    }
}

#[test]
fn every_alert_has_its_section_and_no_section_is_left_over() {
    let rules = read("dashboards/alerts.yaml");
    let alerts: BTreeSet<&str> = between(&rules, "alert: ", '\n').map(str::trim).collect();
    let page = read("docs/runbooks/alerts.md");
    let sections: BTreeSet<&str> = between(&page, "\n## ", '\n').map(str::trim).collect();
    assert!(!alerts.is_empty());
    assert_eq!(alerts, sections);
}
