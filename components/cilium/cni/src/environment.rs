//! The variables a container runtime sets: CNI specification 1.1, section "Parameters".

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::Failure;

/// Linux keeps 16 bytes for an interface name, one of them the closing zero.
const INTERFACE_NAME_MAX: usize = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Add,
    Del,
    Check,
    Status,
    Gc,
    Version,
}

/// One container's attachment, as the runtime names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub container_id: String,
    pub ifname: String,
    /// Absent only for DEL, where the namespace may be gone.
    pub netns: Option<PathBuf>,
    pub pod: Option<Pod>,
}

/// What the kubelet's runtime says about the Pod in `CNI_ARGS`. Absent when called by hand (cnitool).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Reads a variable by name. A function, so that tests need no process environment.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<std::ffi::OsString>;

/// # Errors
/// Code 4 with the variable's name, for a missing or unknown `CNI_COMMAND`.
pub fn verb(lookup: Lookup<'_>) -> Result<Verb, Failure> {
    let text = required(lookup, "CNI_COMMAND")?;
    match text.as_str() {
        "ADD" => Ok(Verb::Add),
        "DEL" => Ok(Verb::Del),
        "CHECK" => Ok(Verb::Check),
        "STATUS" => Ok(Verb::Status),
        "GC" => Ok(Verb::Gc),
        "VERSION" => Ok(Verb::Version),
        _ => Err(invalid(
            "CNI_COMMAND",
            "must be ADD, DEL, CHECK, STATUS, GC or VERSION",
        )),
    }
}

/// # Errors
/// Code 4 with the variable's name.
pub fn attachment(lookup: Lookup<'_>, verb: Verb) -> Result<Attachment, Failure> {
    let container_id = required(lookup, "CNI_CONTAINERID")?;
    if !is_identifier(&container_id) {
        return Err(invalid(
            "CNI_CONTAINERID",
            "must start with a letter or digit and hold only letters, digits, '_', '.' and '-'",
        ));
    }
    let ifname = required(lookup, "CNI_IFNAME")?;
    check_interface_name(&ifname)?;
    let netns = optional(lookup, "CNI_NETNS")?;
    if netns.is_none() && verb != Verb::Del {
        return Err(invalid("CNI_NETNS", "is not set"));
    }
    Ok(Attachment {
        container_id,
        ifname,
        netns: netns.map(PathBuf::from),
        pod: pod(&optional(lookup, "CNI_ARGS")?.unwrap_or_default())?,
    })
}

/// Letters, digits, `_`, `.`, `-`; the rule for container ids and network names.
pub(crate) fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn check_interface_name(name: &str) -> Result<(), Failure> {
    let problem = if name.len() > INTERFACE_NAME_MAX {
        "is longer than the 15 bytes Linux allows"
    } else if name == "." || name == ".." {
        "must not be '.' or '..'"
    } else if name
        .chars()
        .any(|c| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
    {
        "must not hold '/', ':', white space or control characters"
    } else {
        return Ok(());
    };
    Err(invalid("CNI_IFNAME", problem))
}

fn pod(args: &str) -> Result<Option<Pod>, Failure> {
    let pairs = split_args(args)?;
    let get = |key: &str| pairs.get(key).copied().unwrap_or_default();
    let (namespace, name) = (get("K8S_POD_NAMESPACE"), get("K8S_POD_NAME"));
    if namespace.is_empty() && name.is_empty() {
        return Ok(None);
    }
    // Both become path segments and label values: take only what Kubernetes itself allows.
    if !is_dns_label(namespace, 63) || !is_dns_subdomain(name) {
        return Err(invalid(
            "CNI_ARGS",
            "K8S_POD_NAMESPACE and K8S_POD_NAME must both be valid Kubernetes names",
        ));
    }
    let uid = get("K8S_POD_UID");
    if !uid.is_empty() && !is_identifier(uid) {
        return Err(invalid("CNI_ARGS", "K8S_POD_UID is not an identifier"));
    }
    Ok(Some(Pod {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
    }))
}

/// `KEY=value;KEY=value`. Keys we do not know are for other plugins.
fn split_args(args: &str) -> Result<BTreeMap<&str, &str>, Failure> {
    args.split(';')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            pair.split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| invalid("CNI_ARGS", "must be KEY=value pairs separated by ';'"))
        })
        .collect()
}

fn is_dns_label(text: &str, max: usize) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=max).contains(&text.len())
        && text.bytes().all(inside)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|label| is_dns_label(label, 253))
}

fn required(lookup: Lookup<'_>, variable: &'static str) -> Result<String, Failure> {
    optional(lookup, variable)?.ok_or_else(|| invalid(variable, "is not set"))
}

/// An empty variable counts as absent, as in the reference plugins.
fn optional(lookup: Lookup<'_>, variable: &'static str) -> Result<Option<String>, Failure> {
    lookup(variable)
        .map(|value| {
            value
                .into_string()
                .map_err(|_| invalid(variable, "is not UTF-8"))
        })
        .transpose()
        .map(|value| value.filter(|text| !text.is_empty()))
}

fn invalid(variable: &'static str, problem: &str) -> Failure {
    Failure::InvalidEnvironment {
        variable,
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests;
