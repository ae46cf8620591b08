//! Reads selectors.

use super::{Asked, Key, Requirement, Selector};

type Refusal = &'static str;

/// Reads a whole selector, or says what is expected instead.
pub(super) fn selector(text: &str) -> Result<Selector, Refusal> {
    if text.trim().is_empty() {
        return Ok(Selector(Vec::new()));
    }
    let mut rest = Text(text);
    let mut requirements = vec![requirement(&mut rest)?];
    while rest.take(",") {
        requirements.push(requirement(&mut rest)?);
    }
    if rest.is_at_end() {
        Ok(Selector(requirements))
    } else {
        Err("label selector: separate requirements with ','")
    }
}

fn requirement(text: &mut Text<'_>) -> Result<Requirement, Refusal> {
    if text.take("!") {
        return Ok(Requirement {
            key: key(text)?,
            asked: Asked::Missing,
        });
    }
    let key = key(text)?;
    let asked = if text.take("==") || text.take("=") {
        Asked::In(vec![value(text)])
    } else if text.take("!=") {
        Asked::NotIn(vec![value(text)])
    } else if text.take(">") {
        Asked::GreaterThan(number(text)?)
    } else if text.take("<") {
        Asked::LessThan(number(text)?)
    } else if text.take_word("in") {
        Asked::In(values(text)?)
    } else if text.take_word("notin") {
        Asked::NotIn(values(text)?)
    } else {
        Asked::Exists
    };
    Ok(Requirement { key, asked })
}

fn key(text: &mut Text<'_>) -> Result<Key, Refusal> {
    let word = text.word(|sign| is_value(sign) || sign == '/' || sign == ':');
    let (source, name) = match word.split_once(':') {
        Some(("any" | "", name)) => (None, name),
        Some((source, name)) => (Some(source.to_owned()), name),
        None => (None, word),
    };
    if name.is_empty() {
        Err("label selector: a key is missing")
    } else {
        Ok(Key {
            source,
            name: name.to_owned(),
        })
    }
}

fn values(text: &mut Text<'_>) -> Result<Vec<String>, Refusal> {
    if !text.take("(") {
        return Err("label selector: after in and notin come values in parentheses");
    }
    let mut values = vec![value(text)];
    while text.take(",") {
        values.push(value(text));
    }
    if text.take(")") {
        Ok(values)
    } else {
        Err("label selector: a parenthesis is not closed")
    }
}

fn value(text: &mut Text<'_>) -> String {
    text.word(is_value).to_owned()
}

fn number(text: &mut Text<'_>) -> Result<i64, Refusal> {
    text.word(is_value)
        .parse()
        .map_err(|_| "label selector: after < and > comes a whole number")
}

fn is_value(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.')
}

/// What is left to read.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn take(&mut self, sign: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(sign);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes `word` when it is a word of its own, and not the beginning of another.
    fn take_word(&mut self, word: &str) -> bool {
        let rest = self
            .0
            .trim_start()
            .strip_prefix(word)
            .filter(|rest| !rest.starts_with(is_value));
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let text = self.0.trim_start();
        let end = text.find(|sign| !belongs(sign)).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        word
    }

    fn is_at_end(&self) -> bool {
        self.0.trim_start().is_empty()
    }
}
