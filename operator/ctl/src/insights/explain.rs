//! What a code means, and what to do where it is found.

use std::fmt::Write;

use gloo_insights::{Overview, Rule, catalog, page, steps};

/// Every code with its title.
pub(super) fn codes() -> String {
    let line = |rule: &&Rule| {
        format!(
            "{:<8} {:<8} {}\n",
            rule.code.to_string(),
            rule.severity,
            rule.title
        )
    };
    catalog().iter().map(line).collect()
}

/// The rule's page, and the steps for each place it is found at.
pub(super) fn text(rule: &Rule, found: Result<&Overview, String>) -> String {
    let mut text = page(rule);
    let overview = match found {
        Ok(overview) => overview,
        Err(why) => {
            let _written = writeln!(text, "\nWhere it is found is not known: {why}");
            return text;
        }
    };
    let standing = overview
        .insights
        .iter()
        .filter(|one| one.code == rule.code && one.state.stands());
    let mut any = false;
    for one in standing {
        any = true;
        let _written = writeln!(
            text,
            "\n## {} in cluster {}\n\n{}\n",
            one.target, one.cluster, one.summary
        );
        for (name, value) in &one.evidence {
            let _written = writeln!(text, "- {name}: {value}");
        }
        let steps = steps(rule, one).unwrap_or_else(|error| error);
        let _written = writeln!(text, "\n{}", steps.trim());
    }
    let unknown = overview.unknown.iter().filter(|one| one.code == rule.code);
    for one in unknown {
        any = true;
        let _written = writeln!(text, "\nNot known in cluster {}: {}", one.cluster, one.why);
    }
    if !any {
        text.push_str("\nIt is found nowhere now.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{insight, overview};
    use super::*;

    #[test]
    fn the_steps_are_made_for_the_place_it_is_found_at() {
        let rule = gloo_insights::find("HLT0101".parse().unwrap()).unwrap();
        let overview = overview(vec![insight("HLT0101", "ERROR", "west", "active")]);
        let printed = text(rule, Ok(&overview));
        assert!(printed.contains("## Node/a in cluster west"), "{printed}");
        assert!(printed.contains("logs --previous --container cilium-agent cilium-x"));
        let printed = text(rule, Err("no engine".to_owned()));
        assert!(printed.ends_with("Where it is found is not known: no engine\n"));
    }
}
