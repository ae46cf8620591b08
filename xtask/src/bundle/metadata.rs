//! `metadata/annotations.yaml` and the scorecard's configuration.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::json;

use super::source::{PACKAGE, Source};
use super::yaml;

/// The bundle's annotations, which are the labels of its image too. One plain `key: value` per line: `nix/bundle-image.nix` reads them.
pub(super) fn annotations(source: &Source) -> Result<String> {
    let channel = source.about.channel.as_str();
    let annotations = BTreeMap::from([
        (
            "operators.operatorframework.io.bundle.mediatype.v1",
            "registry+v1",
        ),
        (
            "operators.operatorframework.io.bundle.manifests.v1",
            "manifests/",
        ),
        (
            "operators.operatorframework.io.bundle.metadata.v1",
            "metadata/",
        ),
        ("operators.operatorframework.io.bundle.package.v1", PACKAGE),
        ("operators.operatorframework.io.bundle.channels.v1", channel),
        (
            "operators.operatorframework.io.bundle.channel.default.v1",
            channel,
        ),
        (
            "operators.operatorframework.io.test.mediatype.v1",
            "scorecard+v1",
        ),
        (
            "operators.operatorframework.io.test.config.v1",
            "tests/scorecard/",
        ),
    ]);
    yaml::document(
        &serde_json::to_value(BTreeMap::from([("annotations", annotations)]))
            .context("write annotations")?,
    )
}

/// What `operator-sdk scorecard` runs on a cluster that has it.
pub(super) fn scorecard() -> Result<String> {
    const IMAGE: &str = "quay.io/operator-framework/scorecard-test:v1.42.0";
    let test = |entrypoint: &str, suite: &str| {
        json!({
            "entrypoint": ["scorecard-test", entrypoint],
            "image": IMAGE,
            "labels": {"suite": suite, "test": format!("{entrypoint}-test")},
        })
    };
    yaml::document(&json!({
        "apiVersion": "scorecard.operatorframework.io/v1alpha3",
        "kind": "Configuration",
        "metadata": {"name": "config"},
        "stages": [{
            "parallel": true,
            "tests": [
                test("basic-check-spec", "basic"),
                test("olm-bundle-validation", "olm"),
                test("olm-crds-have-validation", "olm"),
                test("olm-crds-have-resources", "olm"),
                test("olm-spec-descriptors", "olm"),
                test("olm-status-descriptors", "olm"),
            ],
        }],
    }))
}
