use super::secrets;
use crate::{Health, Input, Observed};

pub(super) fn judge(input: &Input, observed: &Observed) -> Health {
    let wanted: Vec<String> = secrets::all(input)
        .iter()
        .map(|spec| format!("{}/{}", spec.namespace, spec.name))
        .collect();
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|name| !observed.complete_secrets.contains(name))
        .map(String::as_str)
        .collect();
    let desired = i32::try_from(wanted.len()).unwrap_or(i32::MAX);
    let ready = desired - i32::try_from(missing.len()).unwrap_or(i32::MAX);
    if missing.is_empty() {
        return Health::healthy(format!("{ready} Secrets complete")).counted(ready, desired);
    }
    Health::progressing(format!(
        "missing or incomplete: Secret {}",
        missing.join(", ")
    ))
    .counted(ready, desired)
}
