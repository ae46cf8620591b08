//! What the bundle is made from: the catalog's install objects, the CRD, release.lock and `about.toml`.

use anyhow::{Context, Result, ensure};
use gloonet_api::GlooNetwork;
use gloonet_catalog::{ImageResolver, ReleaseLock, operator};
use kube::CustomResourceExt;
use serde_json::Value;

use super::about::About;

/// Name of the package in a catalogue, of the Deployment and of the operator's image.
pub(super) const PACKAGE: &str = "gloonet-operator";
const EXAMPLE: &str = include_str!("example.yaml");

/// Everything the files are rendered from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) about: About,
    pub(super) lock: ReleaseLock,
    pub(super) crds: Vec<Value>,
    /// In the order they are to be applied.
    pub(super) objects: Vec<Value>,
    pub(super) example: Value,
}

impl Source {
    /// Of the code this program was built from.
    pub(super) fn of_this_tree() -> Result<Self> {
        let lock = ReleaseLock::embedded().context("read release.lock")?;
        let images = gloonet_api::Images::default();
        let resolver = ImageResolver::new(
            &lock,
            &images.registry,
            &images.overrides,
            images.pull_policy.as_str(),
            &images.pull_secrets,
        )
        .context("name the images")?;
        let objects = operator::install_objects(&lock, &resolver)
            .context("render the operator's own objects")?;
        let example: Value =
            serde_norway::from_str(EXAMPLE).context("read xtask/src/bundle/example.yaml")?;
        serde_json::from_value::<GlooNetwork>(example.clone())
            .context("the example is no GlooNetwork")?;
        Ok(Self {
            about: About::embedded()?,
            crds: vec![serde_json::to_value(GlooNetwork::crd()).context("write the CRD")?],
            objects: objects
                .into_iter()
                .map(|object| serde_json::to_value(object).context("write an install object"))
                .collect::<Result<_>>()?,
            lock,
            example,
        })
    }

    /// The one Deployment.
    pub(super) fn deployment(&self) -> Result<&Value> {
        let found: Vec<&Value> = self.of_kind("Deployment").collect();
        ensure!(
            found.len() == 1,
            "the install objects have {} Deployments, not one",
            found.len()
        );
        Ok(found[0])
    }

    /// The objects of one kind.
    pub(super) fn of_kind<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects
            .iter()
            .filter(move |object| kind(object) == wanted)
    }
}

/// The object's kind, or nothing.
pub(super) fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

/// The object's name.
pub(super) fn name(object: &Value) -> Result<&str> {
    object["metadata"]["name"]
        .as_str()
        .with_context(|| format!("a {} of the install objects has no name", kind(object)))
}

/// File name below `manifests/`.
pub(super) fn file_name(object: &Value) -> Result<String> {
    Ok(format!(
        "{}.{}.yaml",
        name(object)?,
        kind(object).to_lowercase()
    ))
}
