//! Words from elsewhere, made harmless.

/// Bytes of a text that is kept.
const LONGEST: usize = 1000;

/// The text without anything that changes how it is shown (control characters, changes of direction), on one line, cut where it
/// is too long.
pub fn clean(text: &str) -> String {
    let mut kept = String::new();
    for char in text.chars() {
        if kept.len() >= LONGEST {
            kept.push('…');
            break;
        }
        match char {
            '\n' | '\t' | '\r' => kept.push(' '),
            char if char.is_control() => {}
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            char => kept.push(char),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_and_a_reader_see_only_what_is_written() {
        assert_eq!(clean("a\u{1b}[31mred\u{202e}txt\nb"), "a[31mredtxt b");
        assert_eq!(clean(&"x".repeat(2000)).chars().count(), LONGEST + 1);
    }
}
