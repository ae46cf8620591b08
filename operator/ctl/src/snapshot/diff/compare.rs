//! What is different between two snapshots, as values.

use std::collections::BTreeMap;

use serde_json::Value;

/// Names one object of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) cluster: String,
    /// `apiVersion,kind=Kind`, as the server groups objects.
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

pub(super) type Objects = BTreeMap<Place, Value>;

/// One field that is another. `None`: it is not there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// As `spec.ingress[0].toPorts`.
    pub(super) path: String,
    pub(super) old: Option<Value>,
    pub(super) new: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Difference {
    Added(Place),
    Removed(Place),
    Changed(Place, Vec<Field>),
}

impl Difference {
    pub(super) fn place(&self) -> &Place {
        match self {
            Self::Added(place) | Self::Removed(place) | Self::Changed(place, _) => place,
        }
    }

    /// Whether the object is in the earlier snapshot.
    pub(super) fn was(&self) -> bool {
        !matches!(self, Self::Added(_))
    }
}

/// Every object of a snapshot, `only` of one cluster if it is given. The error says what is wrong with the document.
pub(super) fn objects(document: &Value, only: Option<&str>) -> Result<Objects, String> {
    let clusters = document.as_object().ok_or("it is no object of clusters")?;
    let mut objects = Objects::new();
    for (cluster, kinds) in clusters {
        let kinds = kinds
            .as_object()
            .ok_or_else(|| format!("cluster {cluster:?} has no kinds"))?;
        for (kind, all) in kinds {
            let all = all
                .as_array()
                .filter(|_| kind.contains(",kind="))
                .ok_or_else(|| format!("{kind:?} of cluster {cluster:?} is no list of a kind"))?;
            if only.is_some_and(|only| only != cluster) {
                continue;
            }
            for object in all {
                let place = place(cluster, kind, object);
                if objects.insert(place.clone(), object.clone()).is_some() {
                    let name = place.name;
                    return Err(format!("{kind} {name:?} is in cluster {cluster:?} twice"));
                }
            }
        }
    }
    Ok(objects)
}

fn place(cluster: &str, kind: &str, object: &Value) -> Place {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    // What the server could not read it names, and says no more of it.
    let name = metadata["name"].as_str().or(object["unreadable"].as_str());
    Place {
        cluster: cluster.to_owned(),
        kind: kind.to_owned(),
        namespace: text(&metadata["namespace"]),
        name: name.unwrap_or_default().to_owned(),
    }
}

/// By cluster, kind, namespace and name.
pub(super) fn differences(old: &Objects, new: &Objects) -> Vec<Difference> {
    let mut found = Vec::new();
    for (place, before) in old {
        match new.get(place) {
            None => found.push(Difference::Removed(place.clone())),
            Some(after) if after != before => {
                let mut fields = Vec::new();
                compare("", Some(before), Some(after), &mut fields);
                found.push(Difference::Changed(place.clone(), fields));
            }
            Some(_) => {}
        }
    }
    let added = new.keys().filter(|place| !old.contains_key(*place));
    found.extend(added.cloned().map(Difference::Added));
    found.sort_by(|one, other| one.place().cmp(other.place()));
    found
}

/// Down to the smallest parts that differ. Lists are compared place by place: the order of rules is kept by whoever writes them.
fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Field>) {
    match (old, new) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                compare(&join(path, name), before.get(name), after.get(name), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for at in 0..before.len().max(after.len()) {
                let path = format!("{path}[{at}]");
                compare(&path, before.get(at), after.get(at), found);
            }
        }
        _ if old == new => {}
        _ => found.push(Field {
            path: path.to_owned(),
            old: old.cloned(),
            new: new.cloned(),
        }),
    }
}

/// A name with a dot in it, as labels have, is quoted.
fn join(path: &str, name: &str) -> String {
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    match (path.is_empty(), plain) {
        (true, true) => name.to_owned(),
        (false, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[{name:?}]"),
    }
}
