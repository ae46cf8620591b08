//! The test programs that need a cluster: built in one go, run without cargo.
//!
//! Cargo holds its target folder while it builds. What runs beside the clusters builds there for minutes, so nothing that
//! the clusters need may ask cargo.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use cargo_metadata::Message;

use super::cargo::cargo;
use crate::process;
use crate::progress::Step;

/// Package and name of each, in the order of the gate.
const ALL: [(&str, &str); 8] = [
    ("lab", "live"),
    ("testing/e2e", "fleet"),
    ("operator/catalog", "dry_run"),
    ("operator/catalog", "live_dashboards"),
    ("testing/e2e", "shared"),
    ("testing/e2e", "alone"),
    ("testing/e2e", "reports"),
    ("testing/e2e", "outages"),
];

/// Where each program is, by its name, and the folder of its package.
#[derive(Debug)]
pub struct Suites(BTreeMap<String, (PathBuf, PathBuf)>);

impl Suites {
    /// Builds them, and the programs of their packages with them: the lab's own among those.
    pub fn build() -> Result<Self> {
        let mut step = Step::start("test programs", "for the lab", Duration::from_mins(4));
        let mut command = cargo(&["test", "--no-run", "--message-format=json"])?;
        for (_, name) in ALL {
            command.args(["--test", name]);
        }
        let log = process::run_logged(&mut command, "gate-suites", &mut step)?;
        let said = fs::read_to_string(&log).with_context(|| format!("read {}", log.display()))?;
        let suites = Self(found(&said));
        for (_, name) in ALL {
            suites.command(name)?;
        }
        step.done();
        Ok(suites)
    }

    /// One of them, as cargo would run it.
    pub fn command(&self, name: &str) -> Result<Command> {
        let (program, folder) = self
            .0
            .get(name)
            .with_context(|| format!("cargo built no test program {name}"))?;
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env("CARGO_MANIFEST_DIR", folder);
        Ok(command)
    }
}

/// The programs among cargo's messages; between them stand lines that are none.
fn found(said: &str) -> BTreeMap<String, (PathBuf, PathBuf)> {
    let mut programs = BTreeMap::new();
    for line in said.lines() {
        let Ok(Message::CompilerArtifact(artifact)) = serde_json::from_str::<Message>(line) else {
            continue;
        };
        let folder = artifact.manifest_path.parent().map(Path::new);
        let (Some(program), Some(folder)) = (artifact.executable, folder) else {
            continue;
        };
        let name = artifact.target.name;
        let ours = |(package, suite): (&str, &str)| suite == name && folder.ends_with(package);
        if artifact.profile.test && ALL.into_iter().any(ours) {
            programs.insert(name, (program.into(), folder.to_owned()));
        }
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(folder: &str, name: &str, test: bool) -> String {
        let executable = format!("/clone/target/debug/deps/{name}-0123");
        serde_json::json!({
            "reason": "compiler-artifact",
            "package_id": format!("path+file:///clone/{folder}#0.1.0"),
            "manifest_path": format!("/clone/{folder}/Cargo.toml"),
            "target": {
                "kind": ["test"], "crate_types": ["bin"], "name": name, "src_path": format!("/clone/{folder}/tests/{name}.rs"),
                "edition": "2024", "doc": false, "doctest": false, "test": true,
            },
            "profile": {"opt_level": "0", "debuginfo": 1, "debug_assertions": true, "overflow_checks": true, "test": test},
            "features": [], "filenames": [executable], "executable": executable, "fresh": true,
        })
        .to_string()
    }

    #[test]
    fn a_suite_is_a_test_program_of_its_own_package() {
        let said = [
            "warning: something".to_owned(),
            artifact("testing/e2e", "alone", true),
            artifact("components/gloo/relay", "live", true),
            artifact("lab", "live", false),
        ]
        .join("\n");
        let found = found(&said);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["alone"]);
        assert_eq!(
            found["alone"],
            (
                PathBuf::from("/clone/target/debug/deps/alone-0123"),
                PathBuf::from("/clone/testing/e2e")
            )
        );
    }
}
