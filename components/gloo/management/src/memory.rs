//! How much of this process' memory clusters' objects may take, and what one of them costs.

use gloo_relay::{key::ObjectKey, table::Room};

use crate::decode;

/// The limit where none is told.
const UNKNOWN: usize = 1 << 30;
/// One part in so many of the limit is for clusters' objects; the rest is for what is made of them, and for copies that are read,
/// written and shown.
const PARTS: usize = 4;
/// Its key, and its entries in the maps it is in.
const OBJECT: usize = 600;
/// What is decoded of it, beside its entries.
const DECODED: usize = 400;
/// An entry of a map or list, where an object is decoded. All but the first have a comma before them.
const ENTRY: usize = 200;

/// What there is for all clusters together, by the memory limit of this process in bytes.
pub fn room(limit: Option<usize>) -> Room {
    Room::new(limit.unwrap_or(UNKNOWN) / PARTS, weigh)
}

/// Never less than what it takes, whatever an agent says: what is small in JSON can be large once it is decoded.
fn weigh(key: &ObjectKey, bytes: &[u8]) -> usize {
    let entries = if decode::kind(key).is_some() {
        let commas = bytes.iter().filter(|byte| **byte == b',');
        DECODED + commas.count() * ENTRY
    } else {
        0
    };
    bytes.len() + OBJECT + entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decoded_weighs_what_it_becomes_and_not_what_it_was() {
        let of = |kind: &str, text: &str| {
            let key = ObjectKey::new("v1", kind, "shop", "web").unwrap();
            weigh(&key, text.as_bytes())
        };
        let labels: Vec<_> = (0..1000).map(|n| format!("\"{n}\":\"\"")).collect();
        let text = format!("{{\"metadata\":{{\"labels\":{{{}}}}}}}", labels.join(","));
        assert!(of("Service", &text) > 10 * text.len());
        assert_eq!(of("Pod", &text), text.len() + OBJECT);
    }

    #[test]
    fn a_quarter_of_the_limit_is_for_clusters_objects() {
        assert_eq!(room(Some(1 << 32)).budget(), 1 << 30);
        assert_eq!(room(None).budget(), 256 << 20);
    }
}
