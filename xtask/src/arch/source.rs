//! Rust source text, reduced to its code: comments and literals blanked out, lines kept.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::workspace::Crate;

/// One source file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    pub path: PathBuf,
    /// Path from the work tree's root, for people.
    pub shown: String,
    pub text: String,
    /// `text` with comments, strings and characters replaced by spaces.
    pub code: String,
    /// Line from which on the file is its own tests; the number of lines if there are none.
    pub tests_from: usize,
}

impl SourceFile {
    /// Prepares a file's text.
    pub fn new(path: PathBuf, shown: String, text: String) -> Self {
        let code = blank(&text);
        let tests_from = if is_test_file(&path) {
            0
        } else {
            tests_from(&code)
        };
        Self {
            path,
            shown,
            text,
            code,
            tests_from,
        }
    }

    /// Code lines outside the file's tests, with their numbers from 1.
    pub fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .lines()
            .take(self.tests_from)
            .enumerate()
            .map(|(at, line)| (at + 1, line))
    }
}

/// Every `.rs` file of the crate's own folder, without those of crates nested in it.
pub fn read_all(package: &Crate, root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        let folder = package.folder.join(folder);
        if folder.is_dir() {
            walk(&folder, root, &mut files)?;
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, root: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry
            .with_context(|| format!("list {}", folder.display()))?
            .path();
        if path.is_dir() {
            walk(&path, root, files)?;
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let shown = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .display()
                .to_string();
            files.push(SourceFile::new(path, shown, text));
        }
    }
    Ok(())
}

fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
        || path.iter().any(|part| part == "tests")
}

/// By convention tests are the last thing in a file, so what follows `#[cfg(test)] mod x {` is theirs.
fn tests_from(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let after = lines[at + 1..]
            .iter()
            .map(|line| line.trim())
            .find(|line| !line.is_empty() && !line.starts_with("#["));
        if line.trim() == "#[cfg(test)]"
            && after.is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
        {
            return at;
        }
    }
    lines.len()
}

/// Replaces comments, strings and characters by spaces. Newlines stay, so lines keep their numbers.
pub fn blank(text: &str) -> String {
    let source: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < source.len() {
        let end = literal_end(&source, at);
        if end == at {
            code.push(source[at]);
            at += 1;
        } else {
            code.extend(
                source[at..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        }
    }
    code
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none starts there.
fn literal_end(source: &[char], at: usize) -> usize {
    let next = source.get(at + 1).copied();
    match source[at] {
        '/' if next == Some('/') => line_end(source, at),
        '/' if next == Some('*') => comment_end(source, at),
        '"' => quoted_end(source, at + 1, '"'),
        'r' if !continues_word(source, at) => raw_end(source, at),
        '\'' => character_end(source, at),
        _ => at,
    }
}

fn continues_word(source: &[char], at: usize) -> bool {
    at > 0 && (source[at - 1].is_alphanumeric() || source[at - 1] == '_') && source[at - 1] != 'b'
}

fn line_end(source: &[char], at: usize) -> usize {
    source[at..]
        .iter()
        .position(|c| *c == '\n')
        .map_or(source.len(), |length| at + length)
}

fn comment_end(source: &[char], at: usize) -> usize {
    let mut depth = 0usize;
    let mut here = at;
    while here + 1 < source.len() {
        match (source[here], source[here + 1]) {
            ('/', '*') => {
                depth += 1;
                here += 2;
            }
            ('*', '/') => {
                depth -= 1;
                here += 2;
                if depth == 0 {
                    return here;
                }
            }
            _ => here += 1,
        }
    }
    source.len()
}

fn quoted_end(source: &[char], from: usize, quote: char) -> usize {
    let mut here = from;
    while here < source.len() {
        match source[here] {
            '\\' => here += 2,
            c if c == quote => return here + 1,
            _ => here += 1,
        }
    }
    source.len()
}

fn raw_end(source: &[char], at: usize) -> usize {
    let hashes = source[at + 1..].iter().take_while(|c| **c == '#').count();
    let open = at + 1 + hashes;
    if source.get(open) != Some(&'"') {
        return at;
    }
    let mut here = open + 1;
    while here < source.len() {
        let closing = source[here + 1..]
            .iter()
            .take(hashes)
            .filter(|c| **c == '#')
            .count();
        if source[here] == '"' && closing == hashes {
            return here + 1 + hashes;
        }
        here += 1;
    }
    source.len()
}

/// A character literal, told from a lifetime by its closing quote.
fn character_end(source: &[char], at: usize) -> usize {
    match (source.get(at + 1), source.get(at + 2)) {
        (Some('\\'), _) => quoted_end(source, at + 1, '\''),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// Every path a `use` declaration brings in, with the line it starts on.
pub fn used_paths(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let starts = code[..at]
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || c == ')');
        let Some(length) = code[at..].find(';').filter(|_| starts) else {
            continue;
        };
        let line = code[..at].matches('\n').count() + 1;
        let tree: String = code[at + 4..at + length]
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let mut found = Vec::new();
        expand("", &tree, &mut found);
        paths.extend(found.into_iter().map(|path| (line, path)));
    }
    paths
}

fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree
        .trim()
        .split(" as ")
        .next()
        .filter(|_| !tree.contains('{'))
        .unwrap_or(tree)
        .trim();
    let Some(open) = tree.find('{') else {
        found.push(
            format!("{prefix}{tree}")
                .trim_end_matches("::self")
                .replace(' ', ""),
        );
        return;
    };
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let prefix = format!("{prefix}{}", tree[..open].trim());
    let mut depth = 0usize;
    let mut start = 0;
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                expand(&prefix, &inner[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        expand(&prefix, &inner[start..], found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let text = "let a = \"unsafe // x\"; // unsafe\n/* unsafe /* nested */ unsafe */ let b = r#\"uns\"afe\"#;\nlet c: &'a str = '\\''; fn d<'a>() {}\n";
        let code = blank(text);
        assert!(!code.contains("unsafe") && !code.contains("afe"), "{code}");
        assert!(code.contains("let b =") && code.contains("fn d<'a>() {}"));
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn a_tree_of_imports_gives_every_path() {
        let code = "use kube::{Client as K, api::{Api, ListParams}, runtime::watcher::self};\npub(crate) use std::env;";
        let paths: Vec<String> = used_paths(code).into_iter().map(|(_, path)| path).collect();
        assert_eq!(
            paths,
            [
                "kube::Client",
                "kube::api::Api",
                "kube::api::ListParams",
                "kube::runtime::watcher",
                "std::env"
            ]
        );
    }

    #[test]
    fn what_follows_the_tests_module_is_not_production() {
        let file = SourceFile::new(
            "a.rs".into(),
            "a.rs".into(),
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n".into(),
        );
        assert_eq!(file.production().count(), 1);
    }

    #[test]
    fn a_declared_test_file_does_not_end_production() {
        let file = SourceFile::new(
            "a.rs".into(),
            "a.rs".into(),
            "#[cfg(test)]\nmod tests;\nfn a() {}\n".into(),
        );
        assert_eq!(file.production().count(), 3);
    }
}
