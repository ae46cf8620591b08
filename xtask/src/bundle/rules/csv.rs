//! Rules about the ClusterServiceVersion.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Bundle, items, strings};

/// One ClusterServiceVersion, named after package and version.
pub(super) fn identity(bundle: &Bundle) -> Vec<String> {
    let count = bundle.of_kind("ClusterServiceVersion").count();
    if count != 1 {
        return vec![format!(
            "manifests/ has {count} ClusterServiceVersions; a bundle has one"
        )];
    }
    let csv = bundle.csv();
    let name = csv["metadata"]["name"].as_str().unwrap_or_default();
    let version = csv["spec"]["version"].as_str().unwrap_or_default();
    let package =
        bundle.annotations["annotations"]["operators.operatorframework.io.bundle.package.v1"]
            .as_str()
            .unwrap_or_default();
    let mut broken = Vec::new();
    if semver::Version::parse(version).is_err() {
        broken.push(format!("spec.version {version:?} is no semantic version"));
    }
    if name != format!("{package}.v{version}") {
        broken.push(format!("the ClusterServiceVersion is named {name:?}, not package and version: {package}.v{version}"));
    }
    broken
}

/// A cluster-scoped resource works in one install mode only, and OLM v1 knows no other.
pub(super) fn install_modes(bundle: &Bundle) -> Vec<String> {
    let supported: Vec<&str> = items(&bundle.csv()["spec"]["installModes"])
        .iter()
        .filter(|mode| mode["supported"] == true)
        .filter_map(|mode| mode["type"].as_str())
        .collect();
    if supported == ["AllNamespaces"] {
        return Vec::new();
    }
    vec![format!(
        "supported install modes are {supported:?}; a cluster-scoped GlooNetwork needs AllNamespaces and no other"
    )]
}

/// Every image once, every container's image among them, all by digest if the bundle says it works disconnected.
pub(super) fn images(bundle: &Bundle) -> Vec<String> {
    let csv = bundle.csv();
    let related: Vec<(&str, &str)> = items(&csv["spec"]["relatedImages"])
        .iter()
        .map(|entry| {
            (
                entry["name"].as_str().unwrap_or_default(),
                entry["image"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    let mut broken = Vec::new();
    let mut names = BTreeSet::new();
    for (name, image) in &related {
        if !names.insert(name) {
            broken.push(format!("relatedImages names {name} twice"));
        }
        let digest = image.split_once("@sha256:").map(|(_, hex)| hex.len());
        if digest.is_some_and(|length| length != 64) {
            broken.push(format!(
                "relatedImages: the digest of {name} has not 64 digits"
            ));
        }
        let disconnected = csv["metadata"]["annotations"]["features.operators.openshift.io/disconnected"]
            == "true";
        if disconnected && digest.is_none() {
            broken.push(format!(
                "disconnected is promised, but {name} has no digest"
            ));
        }
    }
    let known: BTreeSet<&str> = related.iter().map(|(_, image)| *image).collect();
    let used = bundle
        .containers()
        .into_iter()
        .filter_map(|container| container["image"].as_str());
    let shown = csv["metadata"]["annotations"]["containerImage"].as_str();
    for image in used.chain(shown) {
        if !known.contains(image) {
            broken.push(format!("{image} is used but not among relatedImages"));
        }
    }
    broken
}

/// An example for each owned kind, and no other.
pub(super) fn examples(bundle: &Bundle) -> Vec<String> {
    let csv = bundle.csv();
    let text = csv["metadata"]["annotations"]["alm-examples"]
        .as_str()
        .unwrap_or_default();
    let examples: Vec<Value> = match serde_json::from_str(text) {
        Ok(examples) => examples,
        Err(error) => return vec![format!("alm-examples is no JSON list: {error}")],
    };
    let mut shown: BTreeSet<&str> = examples
        .iter()
        .filter_map(|example| example["kind"].as_str())
        .collect();
    let mut broken = Vec::new();
    for owned in items(&csv["spec"]["customresourcedefinitions"]["owned"]) {
        let kind = owned["kind"].as_str().unwrap_or_default();
        if !shown.remove(kind) {
            broken.push(format!("alm-examples has no {kind}"));
        }
    }
    broken.extend(
        shown
            .iter()
            .map(|kind| format!("alm-examples shows a {kind}, which the operator does not own")),
    );
    broken
}

/// Feature annotations are words, and an upgrade range has two ends.
pub(super) fn promises(bundle: &Bundle) -> Vec<String> {
    const FEATURES: [&str; 10] = [
        "cnf",
        "cni",
        "csi",
        "disconnected",
        "fips-compliant",
        "proxy-aware",
        "tls-profiles",
        "token-auth-aws",
        "token-auth-azure",
        "token-auth-gcp",
    ];
    let annotations = &bundle.csv()["metadata"]["annotations"];
    let mut broken: Vec<String> = FEATURES
        .iter()
        .filter(|feature| {
            let said = annotations[format!("features.operators.openshift.io/{feature}")].as_str();
            !matches!(said, Some("true" | "false"))
        })
        .map(|feature| {
            format!("features.operators.openshift.io/{feature} must be \"true\" or \"false\"")
        })
        .collect();
    if let Some(range) = annotations["olm.skipRange"].as_str()
        && !(range.contains('<') && range.contains('>'))
    {
        broken.push(format!("olm.skipRange {range:?} is open at one end"));
    }
    broken
}

impl Bundle {
    /// The containers of the operator's own Deployment, as OLM would run them.
    pub(super) fn containers(&self) -> Vec<&Value> {
        items(&self.csv()["spec"]["install"]["spec"]["deployments"])
            .iter()
            .flat_map(|deployment| {
                let pod = &deployment["spec"]["template"]["spec"];
                items(&pod["initContainers"])
                    .iter()
                    .chain(items(&pod["containers"]))
            })
            .collect()
    }

    /// Names of the ServiceAccounts that OLM makes for the ClusterServiceVersion.
    pub(super) fn service_accounts(&self) -> BTreeSet<&str> {
        let install = &self.csv()["spec"]["install"]["spec"];
        items(&install["permissions"])
            .iter()
            .chain(items(&install["clusterPermissions"]))
            .filter_map(|granted| granted["serviceAccountName"].as_str())
            .collect()
    }

    /// All rules granted by the ClusterServiceVersion.
    pub(super) fn rules(&self) -> Vec<Rule<'_>> {
        let install = &self.csv()["spec"]["install"]["spec"];
        items(&install["permissions"])
            .iter()
            .chain(items(&install["clusterPermissions"]))
            .flat_map(|granted| items(&granted["rules"]))
            .map(|rule| Rule {
                groups: strings(&rule["apiGroups"]),
                resources: strings(&rule["resources"]),
                verbs: strings(&rule["verbs"]),
                names: strings(&rule["resourceNames"]),
            })
            .collect()
    }
}

/// One RBAC rule.
#[derive(Debug)]
pub(super) struct Rule<'a> {
    pub(super) groups: Vec<&'a str>,
    pub(super) resources: Vec<&'a str>,
    pub(super) verbs: Vec<&'a str>,
    /// Empty means every object.
    pub(super) names: Vec<&'a str>,
}
