//! The manifest in the runbook cleans a node: it runs the command as it is, and mounts what the command looks into.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cilium_dbg::Arguments;
use clap::{CommandFactory as _, Parser as _};
use serde_json::Value;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    fs::read_to_string(root.join(path)).unwrap()
}

fn pod() -> Value {
    let set: Value = serde_norway::from_str(&read("docs/runbooks/clean-nodes.yaml")).unwrap();
    set["spec"]["template"]["spec"].clone()
}

fn words(command: &Value) -> Vec<String> {
    serde_json::from_value(command.clone()).unwrap()
}

/// A path of each entry of a list, by the entry's name.
fn paths(list: &Value, pointer: &str) -> BTreeMap<String, String> {
    let text = |value: Option<&Value>| value.unwrap().as_str().unwrap().to_owned();
    let entries = list.as_array().unwrap().iter();
    entries
        .map(|entry| (text(entry.get("name")), text(entry.pointer(pointer))))
        .collect()
}

#[test]
fn the_command_is_one_that_is_there_and_removes_in_the_nodes_own_network() {
    let pod = pod();
    let words = words(&pod["initContainers"][0]["command"]);
    Arguments::try_parse_from(&words).unwrap();
    let expected = ["/usr/bin/cilium-dbg", "post-uninstall-cleanup", "--force"];
    assert_eq!(words, expected);
    assert_eq!(pod["hostNetwork"], true);
}

#[test]
fn every_folder_the_command_looks_into_is_the_nodes() {
    let pod = pod();
    let mounted = paths(&pod["initContainers"][0]["volumeMounts"], "/mountPath");
    let program = Arguments::command();
    let command = program.find_subcommand("post-uninstall-cleanup").unwrap();
    let defaults = command
        .get_arguments()
        .flat_map(clap::Arg::get_default_values);
    let defaults: BTreeSet<&str> = defaults.filter_map(|value| value.to_str()).collect();
    assert_eq!(
        mounted
            .values()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        defaults
    );
    for (name, path) in paths(&pod["volumes"], "/hostPath/path") {
        assert_eq!(mounted[&name].trim_start_matches("/host"), path);
    }
}

#[test]
fn its_image_is_the_agents_of_this_release() {
    let lock = read("release.lock");
    let (_, agent) = lock.split_once("name = \"cilium-agent\"\n").unwrap();
    let value = |key: &str| {
        let mut lines = agent.lines();
        let found = lines.find_map(|line| line.strip_prefix(&format!("{key} = ")));
        found.unwrap().trim_matches('"').to_owned()
    };
    let image = format!("{}:{}", value("reference"), value("version"));
    let pod = pod();
    for container in [&pod["initContainers"][0], &pod["containers"][0]] {
        assert_eq!(container["image"], image);
    }
}
