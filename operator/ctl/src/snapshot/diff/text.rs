//! Differences for people.

use serde_json::Value;

use super::compare::{Difference, Field};

/// Characters of a value that are shown.
const LONGEST: usize = 120;

/// `same`: objects of the earlier snapshot that the later one has as they were.
pub(super) fn all(found: &[Difference], same: usize) -> String {
    let (mut lines, mut cluster) = (Vec::new(), None);
    let (mut added, mut removed, mut changed) = (0, 0, 0);
    for one in found {
        let place = one.place();
        if cluster != Some(&place.cluster) {
            cluster = Some(&place.cluster);
            lines.push(format!("cluster {}", plain(&place.cluster)));
        }
        let (sign, count) = match one {
            Difference::Added(_) => ('+', &mut added),
            Difference::Removed(_) => ('-', &mut removed),
            Difference::Changed(..) => ('~', &mut changed),
        };
        *count += 1;
        let kind = place.kind.replacen(",kind=", " ", 1);
        let slash = if place.namespace.is_empty() { "" } else { "/" };
        let name = format!("{kind} {}{slash}{}", place.namespace, place.name);
        lines.push(format!("  {sign} {}", plain(&name)));
        if let Difference::Changed(_, fields) = one {
            lines.extend(fields.iter().map(field));
        }
    }
    lines.push(format!(
        "{added} added, {removed} removed, {changed} changed, {same} the same\n"
    ));
    lines.join("\n")
}

fn field(field: &Field) -> String {
    let (old, new) = (value(field.old.as_ref()), value(field.new.as_ref()));
    format!("      {}: {old} → {new}", plain(&field.path))
}

fn value(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => plain(&text[..end]) + "…",
        None => plain(&text),
    }
}

/// Names and values are other clusters' words: nothing of them moves the cursor or turns the direction of writing.
pub(super) fn plain(text: &str) -> String {
    let hidden = |char: char| {
        char.is_control()
            || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|char| if hidden(char) { '\u{fffd}' } else { char })
        .collect()
}
