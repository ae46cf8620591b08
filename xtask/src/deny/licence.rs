//! SPDX expressions, as far as crates write them (<https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>).

use std::collections::BTreeSet;

/// Whether the expression can be satisfied with allowed licences only. An unreadable one cannot.
pub fn allowed(expression: &str, allow: &BTreeSet<String>) -> bool {
    // The slash is how crates wrote OR before SPDX.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        words: &words,
        at: 0,
        allow,
    };
    reader
        .any()
        .is_some_and(|allowed| allowed && reader.at == words.len())
}

struct Reader<'a> {
    words: &'a [&'a str],
    at: usize,
    allow: &'a BTreeSet<String>,
}

impl Reader<'_> {
    fn next(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }

    /// `a OR b`; AND binds tighter.
    fn any(&mut self) -> Option<bool> {
        let mut result = self.all()?;
        while self.next("OR") {
            // Both sides are read, whatever the first one gave.
            result |= self.all()?;
        }
        Some(result)
    }

    fn all(&mut self) -> Option<bool> {
        let mut result = self.one()?;
        while self.next("AND") {
            result &= self.one()?;
        }
        Some(result)
    }

    fn one(&mut self) -> Option<bool> {
        if self.next("(") {
            let inner = self.any()?;
            return self.next(")").then_some(inner);
        }
        let mut name = (*self.words.get(self.at)?).to_owned();
        self.at += 1;
        if self.next("WITH") {
            name = format!("{name} WITH {}", self.words.get(self.at)?);
            self.at += 1;
        }
        Some(self.allow.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str) -> bool {
        let allow = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(ToOwned::to_owned);
        allowed(expression, &BTreeSet::from(allow))
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        assert!(check("MIT"));
        assert!(check("GPL-2.0-only OR MIT"));
        assert!(check("MIT/GPL-2.0-only"));
        assert!(!check("GPL-2.0-only OR GPL-3.0-only"));
    }

    #[test]
    fn everything_joined_by_and_must_be_allowed() {
        assert!(check("MIT AND ISC"));
        assert!(!check("MIT AND GPL-2.0-only"));
        assert!(check("(GPL-2.0-only OR MIT) AND ISC"));
        assert!(check("GPL-2.0-only AND X OR MIT"));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert!(check("Apache-2.0 WITH LLVM-exception"));
        assert!(!check("Apache-2.0"));
    }

    #[test]
    fn what_cannot_be_read_is_not_allowed() {
        for expression in ["", "MIT OR", "(MIT", "MIT ISC"] {
            assert!(!check(expression), "{expression:?}");
        }
    }
}
