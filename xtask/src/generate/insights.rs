//! `docs/insights/`: a page per group, and the list of all codes.

use std::fmt::Write;
use std::path::PathBuf;

use gloo_insights::{Group, Rule, catalog, page};

use crate::generated::Files;

pub const FOLDER: &str = "docs/insights";

const WRITTEN: &str = "<!-- Written by `./dev gen`; change components/gloo/insights/src/rules, not this file. -->\n\n";

pub fn files() -> Files {
    let mut files = Files::from([(PathBuf::from("README.md"), index())]);
    for group in Group::ALL {
        let mut text = WRITTEN.to_owned();
        for rule in of(group) {
            text.push_str(&page(rule));
            text.push('\n');
        }
        files.insert(
            PathBuf::from(file(group)),
            text.trim_end().to_owned() + "\n",
        );
    }
    files
}

fn of(group: Group) -> impl Iterator<Item = &'static Rule> {
    let all = catalog().iter().copied();
    all.filter(move |rule| rule.code.group == group)
}

fn file(group: Group) -> String {
    format!("{}.md", group.as_str().to_lowercase())
}

fn index() -> String {
    let mut text = format!(
        "{WRITTEN}# Insights\n\n{} things the engine looks for in every cluster. `gloonet insights` shows what it finds, `gloonet insights explain CODE` what to do.\n",
        catalog().len()
    );
    for group in Group::ALL {
        let _written = write!(
            text,
            "\n## [{}]({})\n\n| code | severity | what |\n|---|---|---|\n",
            group.title(),
            file(group)
        );
        for rule in of(group) {
            let _written = writeln!(
                text,
                "| {} | {} | {} |",
                rule.code, rule.severity, rule.title
            );
        }
    }
    text
}
