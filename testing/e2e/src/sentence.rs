//! What people are told.

/// Fails when a sentence lacks one of its parts.
///
/// # Panics
///
/// Then.
#[track_caller]
pub fn assert_says(sentence: &str, parts: &[&str]) {
    for part in parts {
        assert!(
            sentence.contains(part),
            "«{part}» is missing from: {sentence}"
        );
    }
}
