//! The memory behind the watches.

use std::collections::BTreeMap;

use kube::{api::DynamicObject, runtime::watcher::Event};

use super::{Row, Source, row};

/// Namespace (empty without one) and name.
pub(super) type Name = (String, String);

/// What one watch has shown.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// By namespace and name.
    pub rows: BTreeMap<Name, Row>,
    /// The first list has been read to its end.
    pub ready: bool,
    /// A list that is being read.
    fresh: Option<BTreeMap<Name, Row>>,
}

/// What all watches have shown.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    tables: BTreeMap<Source, Table>,
}

impl Seen {
    /// The table of one source.
    pub fn table(&self, source: &Source) -> Option<&Table> {
        self.tables.get(source)
    }

    /// All tables.
    pub fn tables(&self) -> impl Iterator<Item = (&Source, &Table)> {
        self.tables.iter()
    }

    /// Sources that have not been read in full yet.
    pub fn unread(&self) -> impl Iterator<Item = &Source> {
        self.tables
            .iter()
            .filter(|(_, table)| !table.ready)
            .map(|(source, _)| source)
    }

    pub(crate) fn expect(&mut self, source: &Source) {
        self.tables.entry(source.clone()).or_default();
    }

    /// Takes in one event; a sentence when something changed that may matter.
    pub(crate) fn take(&mut self, source: &Source, event: Event<DynamicObject>) -> Option<String> {
        let table = self.tables.entry(source.clone()).or_default();
        match event {
            Event::Init => {
                table.fresh = Some(BTreeMap::new());
                None
            }
            Event::InitApply(object) => {
                if let (Some(fresh), Some((name, row))) =
                    (&mut table.fresh, row::reduce(source, object))
                {
                    fresh.insert(name, row);
                }
                None
            }
            Event::InitDone => {
                let fresh = table.fresh.take().unwrap_or_default();
                let changed = !table.ready || fresh != table.rows;
                table.rows = fresh;
                table.ready = true;
                changed.then(|| format!("{source} read"))
            }
            Event::Apply(object) => {
                let (name, row) = row::reduce(source, object)?;
                if table.rows.get(&name) == Some(&row) {
                    return None;
                }
                let sentence = format!("{} changed", called(source, &name));
                table.rows.insert(name, row);
                Some(sentence)
            }
            Event::Delete(object) => {
                let name = row::name(&object)?;
                table
                    .rows
                    .remove(&name)
                    .map(|_| format!("{} was deleted", called(source, &name)))
            }
        }
    }
}

fn called(source: &Source, (namespace, name): &Name) -> String {
    let kind = source.resource().kind;
    if namespace.is_empty() {
        format!("{kind} {name}")
    } else {
        format!("{kind} {namespace}/{name}")
    }
}
