//! Which kernel program pods' packets run, by the kernel's digest of its instructions. The others were attached with it, out of one object.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::bench::node::shell;
use crate::lab::Lab;

/// By node.
pub(super) type Programs = BTreeMap<String, String>;

/// What is attached now.
pub(super) fn attached(lab: &Lab) -> Result<Programs> {
    let nodes = lab.nodes()?.into_iter();
    nodes
        .map(|node| {
            // All pods' links share its block.
            let filters = shell(lab, &node, "tc filter show dev cilium_net ingress")?;
            let digest =
                digest(&filters).with_context(|| format!("no program is on the pods of {node}"))?;
            Ok((node, digest.to_owned()))
        })
        .collect()
}

fn digest(filters: &str) -> Option<&str> {
    let mut words = filters.split_whitespace();
    words.find(|word| *word == "tag")?;
    words.next()
}

/// Refuses to call that an upgrade in which a node's program stayed as it was.
pub(super) fn require_others(before: &Programs, after: &Programs) -> Result<()> {
    for (node, new) in after {
        let stayed = before.get(node) == Some(new);
        ensure!(
            !stayed,
            "the program on the pods of {node} is that of before"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_found_among_what_else_is_said_of_a_filter() {
        let filters = "filter block 1735159412 protocol all pref 1 bpf chain 0 \n\
            filter block 1735159412 protocol all pref 1 bpf chain 0 handle 0x1 from_container direct-action not_in_hw id 18054 \
            name from_container tag 07d4673e802cc1a7 jited \n";
        assert_eq!(digest(filters), Some("07d4673e802cc1a7"));
        assert_eq!(digest("filter protocol all pref 1 bpf chain 0"), None);
    }

    #[test]
    fn a_node_whose_program_stayed_was_not_upgraded() {
        let programs = |digests: [&str; 2]| -> Programs {
            let nodes = ["worker-1", "worker-2"].map(str::to_owned);
            nodes.into_iter().zip(digests.map(str::to_owned)).collect()
        };
        require_others(&programs(["a", "b"]), &programs(["c", "d"])).unwrap();
        let error = require_others(&programs(["a", "b"]), &programs(["c", "b"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the program on the pods of worker-2 is that of before"
        );
    }
}
