//! Names with `*`.

/// Whether `name` fits `pattern`, in which `*` stands for any text and every other character for itself.
///
/// Not a regular expression: who may write a pattern must not be able to make the server search for long.
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "shop"),
            ("shop", "shop"),
            ("shop-*", "shop-"),
            ("*-prod", "a-prod"),
            ("a*b*c", "a-b-bc"),
            ("**", "x"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn everything_else_stands_for_itself() {
        for (pattern, name) in [
            ("", "shop"),
            ("shop", "shops"),
            ("shop", "myshop"),
            ("a.c", "abc"),
            ("a*a", "a"),
            ("*-prod", "prod"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    /// The obvious way: every place a star can end is tried.
    fn slowly(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                (0..=name.len()).any(|skipped| slowly(rest, &name[skipped..]))
            }
            (Some((wanted, pattern)), Some((given, name))) => {
                wanted == given && slowly(pattern, name)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_finds_what_the_slow_way_finds(pattern in "[ab*]{0,6}", name in "[ab]{0,8}") {
            prop_assert_eq!(fits(&pattern, &name), slowly(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
