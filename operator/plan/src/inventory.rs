//! The list of everything the operator made, with UIDs: what may be deleted, and what was last written.

use std::collections::BTreeMap;

use gloonet_catalog::ComponentId;
use serde::{Deserialize, Serialize};

use crate::{Fingerprint, ObjectKey};

/// What is known of one object the operator made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name of the component it belongs to.
    pub component: String,
    /// UID at the last write. An object of the same name with another UID is not ours.
    pub uid: String,
    /// Of the rendered object that was last applied.
    pub desired: Fingerprint,
    /// Of the object's content as it was right after that apply.
    pub live: Fingerprint,
}

/// Every object the operator made and has not deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By object.
    pub entries: BTreeMap<ObjectKey, Entry>,
}

/// A stored inventory cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the inventory is not an entry")]
pub struct InventoryError {
    line: usize,
    source: serde_json::Error,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    key: ObjectKey,
    #[serde(flatten)]
    entry: Entry,
}

impl Inventory {
    /// One JSON object per line, sorted by object.
    pub fn to_text(&self) -> String {
        let line = |(key, entry): (&ObjectKey, &Entry)| {
            serde_json::to_string(&Line {
                key: key.clone(),
                entry: entry.clone(),
            })
            .unwrap_or_default()
                + "\n"
        };
        self.entries.iter().map(line).collect()
    }

    /// Reads what [`Inventory::to_text`] wrote. An unreadable line is an error: guessing here could orphan or delete objects.
    pub fn parse(text: &str) -> Result<Self, InventoryError> {
        let mut entries = BTreeMap::new();
        for (index, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
        {
            let Line { key, entry } =
                serde_json::from_str(line).map_err(|source| InventoryError {
                    line: index + 1,
                    source,
                })?;
            entries.insert(key, entry);
        }
        Ok(Self { entries })
    }

    /// Entries of one component.
    pub fn of(&self, id: ComponentId) -> impl Iterator<Item = (&ObjectKey, &Entry)> {
        self.entries
            .iter()
            .filter(move |(_, entry)| entry.component == id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_inventory_reads_back_as_it_was_written() {
        let mark = Fingerprint::of(&json!(1));
        let entry = Entry {
            component: "redis".to_owned(),
            uid: "u-1".to_owned(),
            desired: mark.clone(),
            live: mark,
        };
        let inventory = Inventory {
            entries: [(ObjectKey::secret("gloo-mesh", "redis"), entry)].into(),
        };
        assert_eq!(Inventory::parse(&inventory.to_text()).unwrap(), inventory);
    }

    #[test]
    fn a_broken_line_is_an_error_and_not_an_empty_inventory() {
        assert_eq!(
            Inventory::parse("\n{oops\n").unwrap_err().to_string(),
            "line 2 of the inventory is not an entry"
        );
    }
}
