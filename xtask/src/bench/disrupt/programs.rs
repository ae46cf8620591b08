//! Which kernel programs the agents run, by the kernel's digests of their instructions.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use crate::bench::node::shell;
use crate::lab::Lab;

/// By node.
pub(super) type Programs = BTreeMap<String, BTreeSet<String>>;

/// What the agents hold; they hold what they attached.
pub(super) fn running(lab: &Lab) -> Result<Programs> {
    // Descriptors come and go while they are listed.
    let line = "cat /proc/$(pgrep -n -x cilium-agent)/fdinfo/* 2> /dev/null || true";
    let nodes = lab.nodes()?.into_iter();
    nodes
        .map(|node| {
            let digests = digests(&shell(lab, &node, line)?);
            Ok((node, digests))
        })
        .collect()
}

fn digests(descriptors: &str) -> BTreeSet<String> {
    let digests = descriptors
        .lines()
        .filter_map(|line| line.strip_prefix("prog_tag:"));
    digests.map(|digest| digest.trim().to_owned()).collect()
}

/// Refuses to call that an upgrade in which a program stayed as it was.
pub(super) fn require_others(before: &Programs, after: &Programs) -> Result<()> {
    for (node, new) in after {
        ensure!(!new.is_empty(), "the agent of {node} holds no programs");
        let old = before.get(node);
        let stayed = old.into_iter().flatten().filter(|old| new.contains(*old));
        let stayed = stayed.count();
        ensure!(
            stayed == 0,
            "{stayed} programs of {node} are those of before"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(digests: &[&str]) -> Programs {
        let digests = digests.iter().map(|digest| (*digest).to_owned()).collect();
        Programs::from([("worker-1".to_owned(), digests)])
    }

    #[test]
    fn digests_of_programs_are_found_among_what_else_an_agent_holds() {
        let text = "pos:\t0\nmap_type:\t9\nprog_type:\t3\nprog_jited:\t1\nprog_tag:\ta1b2\nprog_id:\t7\npos:\t0\nprog_tag:\tc3d4\n";
        assert_eq!(node(&["a1b2", "c3d4"])["worker-1"], digests(text));
    }

    #[test]
    fn one_program_that_stayed_is_no_upgrade_and_neither_is_an_agent_without_any() {
        let refused = |before, after| require_others(&before, &after).unwrap_err().to_string();
        require_others(&node(&["a", "b"]), &node(&["c", "d"])).unwrap();
        assert_eq!(
            refused(node(&["a", "b"]), node(&["b", "c"])),
            "1 programs of worker-1 are those of before"
        );
        assert_eq!(
            refused(node(&["a"]), node(&[])),
            "the agent of worker-1 holds no programs"
        );
    }
}
