//! Filters on node names: `node`, `cluster/node`, `cluster/`, with `*` for any run of letters, digits, dots and hyphens.

use super::{Condition, FilterError};
use crate::proto::flow::FlowFilter;

const FIELD: &str = "node_name";

pub(super) fn add(filter: &FlowFilter, conditions: &mut Vec<Condition>) -> Result<(), FilterError> {
    if filter.node_name.is_empty() {
        return Ok(());
    }
    let patterns = filter
        .node_name
        .iter()
        .map(|value| Pattern::parse(value))
        .collect::<Result<Vec<_>, _>>()?;
    conditions.push(Box::new(move |flow| {
        let (cluster, node) = flow
            .node_name
            .split_once('/')
            .unwrap_or(("default", &flow.node_name));
        patterns
            .iter()
            .any(|pattern| pattern.matches(cluster, node))
    }));
    Ok(())
}

/// An empty part matches everything.
#[derive(Debug)]
struct Pattern {
    cluster: String,
    node: String,
}

impl Pattern {
    fn parse(value: &str) -> Result<Self, FilterError> {
        let refuse = |expected| FilterError::Value {
            field: FIELD,
            value: value.to_owned(),
            expected,
        };
        if value.is_empty() {
            return Err(refuse("pattern: it is empty"));
        }
        let (cluster, node) = value.split_once('/').unwrap_or(("", value));
        let part = |part: &str| match part {
            "" => Ok(String::new()),
            part => canonical(part).map_err(refuse),
        };
        Ok(Self {
            cluster: part(cluster)?,
            node: part(node)?,
        })
    }

    fn matches(&self, cluster: &str, node: &str) -> bool {
        let fits = |pattern: &str, name: &str| {
            !name.is_empty() && (pattern.is_empty() || glob(pattern.as_bytes(), name.as_bytes()))
        };
        fits(&self.cluster, cluster) && fits(&self.node, node)
    }
}

fn canonical(part: &str) -> Result<String, &'static str> {
    let part = part.trim();
    let part = part.strip_suffix('.').unwrap_or(part).to_lowercase();
    if part.is_empty() {
        Err("pattern: a part is empty")
    } else if part.ends_with('.') {
        Err("pattern: it ends with more than one dot")
    } else if part
        .bytes()
        .all(|byte| byte == b'*' || byte == b'_' || in_run(byte))
    {
        Ok(part)
    } else {
        Err("pattern: only letters, digits, '.', '-', '_', '*' and one '/' may be in it")
    }
}

/// What `*` stands for. Underscores are not in it, as with Cilium.
fn in_run(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-'
}

/// Goes back to the last `*` only, so it takes at most the product of both lengths.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) if in_run(name[from]) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_a_run_without_underscores() {
        assert!(glob(b"w*-1", b"worker-1"));
        assert!(glob(b"*", b"worker-1"));
        assert!(glob(b"*er*1", b"worker-er-1"));
        assert!(!glob(b"w*-1", b"worker-10"));
        assert!(!glob(b"w*1", b"w_1"));
    }

    #[test]
    fn a_pattern_without_a_slash_is_about_the_node_of_any_cluster() {
        let pattern = Pattern::parse("worker-*").unwrap();
        assert!(pattern.matches("east", "worker-1"));
        assert!(!pattern.matches("worker-1", "control"));
    }

    #[test]
    fn two_slashes_are_refused() {
        assert!(Pattern::parse("a/b/c").is_err());
        assert!(Pattern::parse("a b").is_err());
        assert!(Pattern::parse("").is_err());
        assert!(Pattern::parse("a..").is_err());
    }
}
