//! Which crate depends on which.

use std::collections::BTreeSet;

use super::Finding;
use super::rules::{Allowed, Rules};
use super::workspace::{Crate, Workspace};

/// Compares every dependency with the table.
pub fn check(workspace: &Workspace, rules: &Rules) -> Vec<Finding> {
    let ours: BTreeSet<&str> = workspace
        .crates
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings = Vec::new();
    for package in &workspace.crates {
        match rules.crates.get(&package.name) {
            Some(allowed) => findings.extend(ours_used(package, allowed, &ours)),
            None => findings.push(Finding::error(
                &package.name,
                "is not in the table: say there what it is and what it may use",
            )),
        }
        findings.extend(external_used(package, rules));
    }
    for name in rules
        .crates
        .keys()
        .filter(|name| !ours.contains(name.as_str()))
    {
        findings.push(Finding::error(
            name,
            "is in the table but not in the workspace: remove its entry",
        ));
    }
    findings
}

fn ours_used(package: &Crate, allowed: &Allowed, ours: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for used in package
        .dependencies
        .iter()
        .filter(|used| ours.contains(used.as_str()))
    {
        if !allowed.uses.contains(used) {
            findings.push(Finding::error(
                &package.name,
                format!("may not use {used}: the table has no such edge"),
            ));
        }
    }
    for used in package
        .dev_dependencies
        .iter()
        .filter(|used| ours.contains(used.as_str()))
    {
        if !allowed.uses.contains(used) && !allowed.dev_uses.contains(used) {
            findings.push(Finding::error(
                &package.name,
                format!("may not use {used} in its tests: the table has no such edge"),
            ));
        }
    }
    for edge in allowed
        .uses
        .iter()
        .filter(|edge| !package.dependencies.contains(edge))
    {
        findings.push(Finding::warning(
            &package.name,
            format!("does not use {edge}: the table may lose that edge"),
        ));
    }
    findings
}

fn external_used(package: &Crate, rules: &Rules) -> Vec<Finding> {
    package
        .dependencies
        .iter()
        .filter_map(|used| {
            let holders = rules.external.get(used)?;
            (!holders.contains(&package.name)).then(|| {
                Finding::error(
                    &package.name,
                    format!("may not name {used}: that is for {}", holders.join(", ")),
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        toml::from_str(
            r#"
            [crates.api]
            [crates.plan]
            uses = ["api"]
            dev_uses = ["kit"]
            [crates.kit]
            [external]
            aya = ["datapath"]
            [shape]
            file_lines_hard = 450
            file_lines_soft = 300
            main_lines = 40
            forbidden_modules = []
            forbidden_words = []
            "#,
        )
        .unwrap()
    }

    fn package(name: &str, dependencies: &[&str], dev: &[&str]) -> Crate {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Crate {
            name: name.into(),
            dependencies: own(dependencies),
            dev_dependencies: own(dev),
            ..Crate::default()
        }
    }

    fn errors(crates: Vec<Crate>) -> Vec<String> {
        let workspace = Workspace {
            crates,
            ..Workspace::default()
        };
        check(&workspace, &rules())
            .iter()
            .filter(|finding| !finding.warning)
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn edges_of_the_table_are_accepted() {
        let all = vec![
            package("api", &["serde"], &[]),
            package("plan", &["api"], &["kit"]),
            package("kit", &[], &[]),
        ];
        assert_eq!(errors(all), Vec::<String>::new());
    }

    #[test]
    fn an_edge_up_the_tiers_is_refused() {
        let all = vec![
            package("api", &["plan"], &[]),
            package("plan", &["api"], &[]),
            package("kit", &[], &[]),
        ];
        assert_eq!(
            errors(all),
            ["error: api: may not use plan: the table has no such edge"]
        );
    }

    #[test]
    fn a_test_helper_is_refused_as_a_normal_dependency() {
        let all = vec![
            package("api", &[], &[]),
            package("plan", &["api", "kit"], &[]),
            package("kit", &[], &[]),
        ];
        assert_eq!(
            errors(all),
            ["error: plan: may not use kit: the table has no such edge"]
        );
    }

    #[test]
    fn a_crate_unknown_to_the_table_and_an_entry_without_a_crate_are_named() {
        let all = vec![
            package("api", &[], &[]),
            package("plan", &["api"], &[]),
            package("stray", &[], &[]),
        ];
        let found = errors(all);
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("error: stray: is not in the table"));
        assert!(found[1].starts_with("error: kit: is in the table but not in the workspace"));
    }

    #[test]
    fn a_restricted_external_crate_is_refused_elsewhere() {
        let all = vec![
            package("api", &["aya"], &[]),
            package("plan", &["api"], &[]),
            package("kit", &[], &[]),
        ];
        assert_eq!(
            errors(all),
            ["error: api: may not name aya: that is for datapath"]
        );
    }
}
