//! Logs and configuration files: settings, headers, addresses with a password, tokens, private keys.

use std::ops::Range;

use serde_json::{Deserializer, Value};

use super::{MASK, is_telling_flag, plain, setting, tells, tells_of_literal, walk};

/// Words whose value follows without a sign between them.
const BEFORE_A_VALUE: [&str; 3] = ["bearer", "requirepass", "masterauth"];

/// What of the next lines belongs to a secret that a line began. Numbers are its indentation.
#[derive(Clone, Copy)]
enum Open {
    Nothing,
    /// A private key in PEM, up to its last line.
    Key,
    /// The rest of a value: everything that is indented deeper.
    Block(usize),
    /// `password:` without a value: what follows and is no entry of its own.
    Values(usize),
    /// Items of such a list, and what belongs to each.
    Items(usize),
    /// `name: PASSWORD`: the line `value:` beside it.
    Value(usize),
    /// `- --password`: the next item.
    Item(usize),
}

/// Masks what looks like a secret by itself, or by the name before it.
pub(in crate::dump) fn mask_text(text: &str) -> String {
    if let Some((masked, length)) = json(text.trim_start())
        && text.trim_start()[length..].trim().is_empty()
    {
        return format!("{masked:#}");
    }
    let mut lines: Vec<String> = Vec::new();
    let mut open = Open::Nothing;
    for line in text.split('\n') {
        if open.covers(line) {
            open = open.beyond(line);
            if lines.last().is_none_or(|last| last != MASK) {
                lines.push(MASK.to_owned());
            }
            continue;
        }
        open = Open::after(line);
        lines.push(mask_line(line));
    }
    lines.join("\n")
}

impl Open {
    /// What a line that is not covered begins.
    fn after(line: &str) -> Self {
        if begins_key(line) && !line.contains("-----END") {
            return Self::Key;
        }
        let (indent, content) = content(line);
        match entry(content) {
            Some((key, "")) if tells_of_literal(key) => Self::Values(indent),
            Some((key, _)) if tells_of_literal(key) => Self::Block(indent),
            Some(("name" | "key", value)) if tells(value) => Self::Value(indent),
            None if is_telling_flag(content.trim_matches(['"', '\''])) => Self::Item(indent),
            _ => Self::Nothing,
        }
    }

    fn covers(self, line: &str) -> bool {
        let depth = depth(line);
        let (indent, content) = content(line);
        match self {
            Self::Nothing => false,
            Self::Key => true,
            Self::Block(least) => content.is_empty() || depth > least,
            Self::Values(least) => {
                let below = depth > least || (depth == least && indent > depth);
                below && !content.is_empty() && entry(content).is_none()
            }
            Self::Items(there) => {
                let item = depth == there && indent > depth && entry(content).is_none();
                item || depth > there || content.is_empty()
            }
            Self::Value(there) => {
                indent == there && entry(content).is_some_and(|(key, _)| key == "value")
            }
            Self::Item(there) => indent == there && indent > depth,
        }
    }

    /// What is still to come after a covered line.
    fn beyond(self, line: &str) -> Self {
        let depth = depth(line);
        match self {
            Self::Key if line.contains("-----END") => Self::Nothing,
            Self::Values(_) if content(line).0 > depth => Self::Items(depth),
            Self::Values(least) => Self::Block(least),
            Self::Value(indent) => Self::Block(indent),
            Self::Item(indent) => Self::Block(indent - 1),
            other => other,
        }
    }
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// How far the first key or scalar of a line of YAML is indented, and the line from there.
fn content(line: &str) -> (usize, &str) {
    let mut content = line.trim_start();
    while let Some(item) = content.strip_prefix("- ") {
        content = item.trim_start();
    }
    (line.len() - content.len(), content.trim_end())
}

/// Key and value, where a line of YAML begins with a key.
fn entry(content: &str) -> Option<(&str, &str)> {
    let mark = quote(content);
    let rest = &content[mark.len()..];
    let key = &rest[..rest.find([':', ' ', '"', '\''])?];
    let value = rest[key.len()..].strip_prefix(mark)?.strip_prefix(':')?;
    (value.is_empty() || value.starts_with(char::is_whitespace)).then(|| (key, value.trim_start()))
}

fn begins_key(line: &str) -> bool {
    line.contains("-----BEGIN") && line.contains("PRIVATE KEY")
}

fn mask_line(line: &str) -> String {
    if begins_key(line) {
        return MASK.to_owned();
    }
    if let Some(start) = goes_to_the_end(line) {
        return format!("{}{MASK}", &line[..start]);
    }
    let mut shown = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (piece, length) = piece(rest, shown.chars().next_back());
        shown.push_str(&piece);
        rest = &rest[length..];
    }
    shown
}

/// Where the value begins that is the rest of its line: without quotes, that of an entry of YAML, or of an argument that is an item.
fn goes_to_the_end(line: &str) -> Option<usize> {
    let (indent, content) = content(line);
    let value = match entry(content) {
        Some((key, value)) => (tells_of_literal(key) && !has_names(value)).then_some(value),
        None if indent > depth(line) => setting(content).map(|(_, value)| value),
        None => None,
    };
    let value = value.filter(|value| !value.is_empty())?;
    Some(line.trim_end().len() - value.len())
}

/// The next piece of a line as it may be shown, and how much of the line it stands for.
fn piece(rest: &str, before: Option<char>) -> (String, usize) {
    if let Some((masked, length)) = json(rest) {
        return (masked.to_string(), length);
    }
    if let Some(address) = rest.strip_prefix("://") {
        let ends = |one: char| one.is_whitespace() || "/?#\"'<>".contains(one);
        let authority = &address[..address.find(ends).unwrap_or(address.len())];
        return match authority.rfind('@') {
            Some(user) => (format!("://{MASK}"), "://".len() + user),
            None => ("://".to_owned(), "://".len()),
        };
    }
    let word = word(rest);
    if word.is_empty() {
        let first: String = rest.chars().take(1).collect();
        let length = first.len();
        return (first, length);
    }
    if let Some(start) = web_token(word) {
        return (format!("{}{MASK}", &word[..start]), word.len());
    }
    match value(word, &rest[word.len()..], before) {
        Some(value) if !value.is_empty() => {
            let (start, end) = (word.len() + value.start, word.len() + value.end);
            (format!("{}{MASK}", &rest[..start]), end)
        }
        _ => (word.to_owned(), word.len()),
    }
}

fn word(text: &str) -> &str {
    let inner = |one: char| one.is_ascii_alphanumeric() || "_-.".contains(one);
    &text[..text.find(|one| !inner(one)).unwrap_or(text.len())]
}

/// Where a JSON Web Token begins: `{"` in base64, and two dots.
fn web_token(word: &str) -> Option<usize> {
    let start = word.find("eyJ")?;
    let apart = !word[..start].ends_with(|one: char| one.is_ascii_alphanumeric());
    (apart && word[start..].matches('.').count() >= 2).then_some(start)
}

/// Where in the text after a word the value stands that belongs to it, if the word tells of a secret.
fn value(word: &str, after: &str, before: Option<char>) -> Option<Range<usize>> {
    let leads = BEFORE_A_VALUE.contains(&word.to_ascii_lowercase().as_str());
    if !leads && !tells_of_literal(word) {
        return None;
    }
    let tail = &after[quote(after).len()..];
    let value = if let Some(value) = tail.trim_start().strip_prefix('=') {
        value
    } else if let Some(value) = tail.strip_prefix(':') {
        // A path, or an image and its tag.
        if before == Some('/') {
            return None;
        }
        value
    } else if (leads || word.starts_with('-')) && tail.starts_with([' ', '\t', ',']) {
        tail.trim_start_matches([' ', '\t', ','])
    } else {
        return None;
    };
    let value = value.trim_start();
    let from = after.len() - value.len();
    let inside = inside(word, value)?;
    Some(from + inside.start..from + inside.end)
}

/// What is to be hidden of a text that begins with a value.
fn inside(word: &str, value: &str) -> Option<Range<usize>> {
    let mark = quote(value);
    if !mark.is_empty() {
        let quoted = &value[mark.len()..];
        let length = closing(quoted, mark).unwrap_or(quoted.len());
        return Some(mark.len()..mark.len() + length);
    }
    let to = |end: Option<usize>| end.unwrap_or(value.len());
    match value.chars().next()? {
        _ if has_names(value) => None,
        '[' => Some(1..to(value.find(']'))),
        '-' if word.starts_with('-') && value.starts_with("--") => None,
        // The scheme, a space and the value.
        _ if plain(word).ends_with("authorization") => Some(0..to(value.find(['"', '\'']))),
        _ => Some(0..to(value.find(char::is_whitespace))),
    }
}

/// A map, or a list of them: what is in it has names of its own.
fn has_names(value: &str) -> bool {
    let first = value.strip_prefix('[').unwrap_or(value);
    first.trim_start().starts_with('{')
}

/// A quote at the beginning of a text, with the backslashes it has inside another quoted text.
fn quote(text: &str) -> &str {
    let slashes = text.len() - text.trim_start_matches('\\').len();
    if text[slashes..].starts_with(['"', '\'']) {
        &text[..=slashes]
    } else {
        ""
    }
}

/// Where a quoted text ends: at the same quote with as many backslashes, which is not doubled.
fn closing(quoted: &str, mark: &str) -> Option<usize> {
    let sign = mark.trim_start_matches('\\');
    let mut from = 0;
    loop {
        let at = from + quoted[from..].find(sign)?;
        let slashes = at - quoted[..at].trim_end_matches('\\').len();
        let doubled = mark == "'" && quoted[at + 1..].starts_with('\'');
        if slashes + 1 == mark.len() && !doubled {
            return Some(at - slashes);
        }
        from = at + 1 + usize::from(doubled);
    }
}

/// The JSON a text begins with, masked, and its length; nothing if there was nothing to mask.
fn json(text: &str) -> Option<(Value, usize)> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let mut values = Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    let mut masked = value.clone();
    walk(&mut masked);
    (masked != value).then(|| (masked, values.byte_offset()))
}
