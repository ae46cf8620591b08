//! What code may name: effects in pure crates, `unsafe` anywhere, words that promise work nobody tracks.

use super::Finding;
use super::rules::Rules;
use super::source::{SourceFile, used_paths};
use super::workspace::Crate;

/// Scans one crate's files.
pub fn check(package: &Crate, files: &[SourceFile], rules: &Rules) -> Vec<Finding> {
    let Some(allowed) = rules.crates.get(&package.name) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for file in files {
        if allowed.pure {
            findings.extend(effects(file, &rules.pure.forbidden));
        }
        if !allowed.may_unsafe {
            findings.extend(unsafety(file));
        }
        findings.extend(promises(file, &rules.shape.forbidden_words));
    }
    findings
}

fn effects(file: &SourceFile, forbidden: &[String]) -> Vec<Finding> {
    let imported = used_paths(&file.code)
        .into_iter()
        .filter(|(line, _)| *line <= file.tests_from);
    let mut findings: Vec<Finding> = Vec::new();
    for (line, path) in imported {
        if forbidden
            .iter()
            .any(|word| path == *word || path.starts_with(&format!("{word}::")))
        {
            findings.push(pure(file, line, &path));
        }
    }
    for (line, code) in file.production() {
        let compact: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
        if compact.starts_with("use ") || compact.starts_with("pub use ") {
            continue;
        }
        if let Some(word) = forbidden.iter().find(|word| names(&compact, word)) {
            findings.push(pure(file, line, word));
        }
    }
    findings
}

fn pure(file: &SourceFile, line: usize, path: &str) -> Finding {
    Finding::error(
        format!("{}:{line}", file.shown),
        format!("names {path} in a pure crate: take the value as an argument"),
    )
}

/// Whether `code` names the path: as a whole, and followed by `::` where the word is a crate or module.
fn names(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + word.len()..];
        let follows = after.chars().next();
        let whole =
            !before.is_some_and(part) && !follows.is_some_and(|c| c.is_alphanumeric() || c == '_');
        whole && (word.contains("::") || after.starts_with("::"))
    })
}

fn unsafety(file: &SourceFile) -> Vec<Finding> {
    let lines = file.code.lines().enumerate();
    lines
        .filter(|(_, code)| {
            code.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "unsafe")
                || (code.contains("unsafe_code")
                    && !code.contains("forbid")
                    && !code.contains("deny"))
        })
        .map(|(at, _)| {
            Finding::error(
                format!("{}:{}", file.shown, at + 1),
                "holds unsafe code: only datapath, datapath-abi and datapath-programs do",
            )
        })
        .collect()
}

fn promises(file: &SourceFile, words: &[String]) -> Vec<Finding> {
    let lines = file
        .text
        .lines()
        .zip(file.code.lines())
        .take(file.tests_from);
    lines
        .enumerate()
        .filter_map(|(at, (text, code))| {
            let word = words
                .iter()
                .find(|word| names_word(text, word) && !names_word(code, word))?;
            text.contains("//").then(|| {
                Finding::error(
                    format!("{}:{}", file.shown, at + 1),
                    format!("says {word}: finish it, or say in an issue what is missing"),
                )
            })
        })
        .collect()
}

fn names_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric())
        .any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, table: &str) -> Vec<String> {
        let rules: Rules = toml::from_str(&format!(
            "{table}\n[pure]\nforbidden = ['kube::Client', 'tokio', 'SystemTime::now', 'std::env']\n[shape]\nfile_lines_hard = 1\n\
             file_lines_soft = 1\nmain_lines = 1\nforbidden_modules = []\nforbidden_words = ['TODO']\n"
        ))
        .unwrap();
        let file = SourceFile::new("src/a.rs".into(), "src/a.rs".into(), text.into());
        let package = Crate {
            name: "plan".into(),
            ..Crate::default()
        };
        check(&package, &[file], &rules)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    const PURE: &str = "[crates.plan]\npure = true";

    #[test]
    fn a_pure_crate_that_imports_a_client_in_a_tree_is_found() {
        let found = found("use kube::{\n    Client,\n    CustomResource,\n};\n", PURE);
        assert_eq!(
            found,
            [
                "error: src/a.rs:1: names kube::Client in a pure crate: take the value as an argument"
            ]
        );
    }

    #[test]
    fn a_pure_crate_that_reads_the_clock_inline_is_found() {
        let found = found(
            "fn f() {\n    std::time::SystemTime::now();\n    tokio::spawn(async {});\n}\n",
            PURE,
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn comments_strings_and_tests_of_a_pure_crate_may_say_tokio() {
        let text = "//! Without tokio::spawn.\nconst A: &str = \"std::env\";\n#[cfg(test)]\nmod tests {\n    use std::env;\n}\n";
        assert_eq!(found(text, PURE), Vec::<String>::new());
    }

    #[test]
    fn a_crate_that_is_not_pure_may_have_effects() {
        assert_eq!(
            found("use std::env;\n", "[crates.plan]"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn unsafe_is_found_and_the_word_in_a_lint_that_forbids_it_is_not() {
        assert_eq!(
            found("#![forbid(unsafe_code)]\n", "[crates.plan]"),
            Vec::<String>::new()
        );
        assert_eq!(
            found("fn f() { unsafe { g() } }\n", "[crates.plan]").len(),
            1
        );
        assert_eq!(found("#![expect(unsafe_code)]\n", "[crates.plan]").len(), 1);
        assert_eq!(
            found(
                "fn f() { unsafe { g() } }\n",
                "[crates.plan]\nmay_unsafe = true"
            ),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_promise_in_a_comment_is_found() {
        assert_eq!(found("// TODO later\n", "[crates.plan]").len(), 1);
        assert_eq!(
            found("const A: &str = \"TODO\";\n", "[crates.plan]"),
            Vec::<String>::new()
        );
    }
}
