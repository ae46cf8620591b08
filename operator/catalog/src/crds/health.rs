use super::objects;
use crate::{Health, Observed};

pub(super) fn judge(observed: &Observed) -> Health {
    let names: Vec<String> = objects::definitions()
        .filter_map(|definition| definition.metadata.name)
        .collect();
    let missing: Vec<&str> = names
        .iter()
        .filter(|name| !observed.established_crds.contains(name))
        .map(String::as_str)
        .collect();
    let desired = i32::try_from(names.len()).unwrap_or(i32::MAX);
    let ready = desired - i32::try_from(missing.len()).unwrap_or(i32::MAX);
    if missing.is_empty() {
        return Health::healthy(format!("{ready} definitions established")).counted(ready, desired);
    }
    Health::progressing(format!(
        "not established yet: CustomResourceDefinition {}",
        missing.join(", ")
    ))
    .counted(ready, desired)
}
