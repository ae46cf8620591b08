//! From what was written to typed rules, strictly and part by part.
//!
//! What cannot be read costs only the part it stands in, so that the rest still isolates and denies.

use ipnet::Ipv4Net;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Refusal,
    rule::{DefaultDeny, EgressRule, IngressRule, Log, RuleLabel, Selector},
};

/// A part of a rule, or why it cannot be read.
pub type Part<T> = Result<T, Refusal>;

/// A rule as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadRule {
    /// Path of the rule: `spec` or `specs[2]`.
    pub path: String,
    /// Pods the rule is for.
    pub endpoint_selector: Option<Part<Selector>>,
    /// Whether it is for nodes.
    pub node_selector: bool,
    /// What may come in.
    pub ingress: Section<IngressRule>,
    /// What may not come in.
    pub ingress_deny: Section<IngressRule>,
    /// What may go out.
    pub egress: Section<EgressRule>,
    /// What may not go out.
    pub egress_deny: Section<EgressRule>,
    /// Whether it isolates; what cannot be read counts as absent.
    pub enable_default_deny: DefaultDeny,
    /// Labels of the rule, `source:key=value`.
    pub labels: Vec<String>,
    /// `log.value`.
    pub log: String,
    /// What concerns the rule as a whole: fields no one knows, or that it is no rule at all.
    pub refusals: Vec<Refusal>,
    /// What is not read and changes no verdict: `labels`, `description`, `log`, `enableDefaultDeny`.
    pub remarks: Vec<Refusal>,
}

/// The elements of one list of a rule; empty when absent.
pub type Section<T> = Vec<Part<T>>;

/// The rules of a policy. There is at least one: a policy that cannot be read at all is a rule that only refuses.
pub fn read_rules(spec: Option<&Value>, specs: Option<&Value>) -> Vec<ReadRule> {
    let mut rules: Vec<ReadRule> = spec
        .filter(|v| !v.is_null())
        .map(|v| read_rule("spec", v))
        .into_iter()
        .collect();
    match specs {
        None | Some(Value::Null) => {}
        Some(Value::Array(items)) => rules.extend(
            items
                .iter()
                .enumerate()
                .map(|(i, v)| read_rule(&format!("specs[{i}]"), v)),
        ),
        Some(_) => rules.push(unreadable("specs", "is no list of rules")),
    }
    if rules.is_empty() {
        rules.push(unreadable(
            "spec",
            "the policy has no rule; write one in spec or specs",
        ));
    }
    rules
}

fn unreadable(path: &str, reason: &str) -> ReadRule {
    ReadRule {
        path: path.to_owned(),
        endpoint_selector: Some(Err(Refusal::new(path, reason))),
        refusals: vec![Refusal::new(path, reason)],
        ..ReadRule::default()
    }
}

fn read_rule(path: &str, value: &Value) -> ReadRule {
    let Value::Object(fields) = value else {
        return unreadable(path, "is no rule but another kind of value");
    };
    let mut rule = ReadRule {
        path: path.to_owned(),
        ..ReadRule::default()
    };
    for (name, value) in fields.iter().filter(|(_, v)| !v.is_null()) {
        let at = format!("{path}.{name}");
        match name.as_str() {
            "endpointSelector" => rule.endpoint_selector = Some(part(&at, value)),
            "nodeSelector" => rule.node_selector = true,
            "ingress" => rule.ingress = section(&at, value),
            "ingressDeny" => rule.ingress_deny = section(&at, value),
            "egress" => rule.egress = section(&at, value),
            "egressDeny" => rule.egress_deny = section(&at, value),
            "enableDefaultDeny" => match part(&at, value) {
                Ok(read) => rule.enable_default_deny = read,
                Err(refusal) => rule.remarks.push(refusal),
            },
            "labels" => match part::<Vec<RuleLabel>>(&at, value) {
                Ok(labels) => rule.labels = labels.iter().map(text_of).collect(),
                Err(refusal) => rule.remarks.push(refusal),
            },
            "log" => match part::<Log>(&at, value) {
                Ok(log) => rule.log = log.value.unwrap_or_default(),
                Err(refusal) => rule.remarks.push(refusal),
            },
            "description" => {}
            _ => rule.refusals.push(Refusal::new(
                at,
                "no such field; check its spelling, the rule allows nothing until then",
            )),
        }
    }
    rule
}

fn text_of(label: &RuleLabel) -> String {
    let source = label.source.as_deref().unwrap_or("unspec");
    let value = label.value.as_deref().unwrap_or_default();
    format!("{source}:{}={value}", label.key)
}

fn section<T: DeserializeOwned>(path: &str, value: &Value) -> Section<T> {
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(i, item)| part(&format!("{path}[{i}]"), item))
            .collect(),
        _ => vec![Err(Refusal::new(path, "is no list"))],
    }
}

fn part<T: DeserializeOwned>(path: &str, value: &Value) -> Part<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let at = match inner.as_str() {
            "." => path.to_owned(),
            _ => format!("{path}.{inner}"),
        };
        Refusal::new(at, format!("cannot be read: {}", error.inner()))
    })
}

/// The networks of a CiliumCIDRGroup. One that cannot be read in full is unknown: half a group could open what the other
/// half closes.
pub fn read_cidr_group(spec: Option<&Value>) -> Result<Vec<Ipv4Net>, Refusal> {
    let path = "spec.externalCIDRs";
    let Some(Value::Object(fields)) = spec else {
        return Err(Refusal::new(
            "spec",
            "is absent; list networks in externalCIDRs",
        ));
    };
    if let Some(name) = fields.keys().find(|name| *name != "externalCIDRs") {
        return Err(Refusal::new(
            format!("spec.{name}"),
            "no such field; list networks in externalCIDRs",
        ));
    }
    let texts: Vec<String> = match fields.get("externalCIDRs") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => part(path, value)?,
    };
    let mut networks = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        networks.extend(read_cidr(&format!("{path}[{i}]"), text)?);
    }
    Ok(networks)
}

/// The IPv4 network a text names; `None` for one of IPv6, which no IPv4 address is in.
pub fn read_cidr(path: &str, text: &str) -> Result<Option<Ipv4Net>, Refusal> {
    if let Ok(network) = text.parse::<ipnet::IpNet>() {
        return Ok(match network {
            ipnet::IpNet::V4(network) => Some(network.trunc()),
            ipnet::IpNet::V6(_) => None,
        });
    }
    match text.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => Ok(Some(address.into())),
        Ok(std::net::IpAddr::V6(_)) => Ok(None),
        Err(_) => Err(Refusal::new(
            path,
            format!("{text:?} is no network; write it as 192.0.2.0/24"),
        )),
    }
}

#[cfg(test)]
mod tests;
