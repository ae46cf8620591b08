//! Kubernetes Events (events.k8s.io/v1).

/// Longest note the API server takes, in bytes.
pub const LONGEST_NOTE: usize = 1024;

/// A sentence as a note: one that is too long ends at a letter, with `…`.
pub fn note(sentence: &str) -> String {
    const END: &str = "…";
    if sentence.len() <= LONGEST_NOTE {
        return sentence.to_owned();
    }
    let end = sentence.floor_char_boundary(LONGEST_NOTE - END.len());
    format!("{}{END}", &sentence[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_is_too_long_is_cut_at_a_letter_and_fits() {
        for letter in ["a", "ä", "鯨"] {
            let fits = letter.repeat(LONGEST_NOTE / letter.len());
            assert_eq!(note(&fits), fits);
            let cut = note(&format!("{fits}{letter}"));
            assert!(cut.ends_with(&format!("{letter}…")), "{cut}");
            let room = LONGEST_NOTE - letter.len()..=LONGEST_NOTE;
            assert!(room.contains(&cut.len()), "{letter}: {}", cut.len());
        }
    }
}
