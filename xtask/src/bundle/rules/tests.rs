//! Each rule is shown a bundle that is broken in one place and must name that place.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::Bundle;
use crate::bundle::generate;
use crate::bundle::source::Source;

static GOOD: LazyLock<Bundle> =
    LazyLock::new(|| Bundle::parse(&generate(&Source::of_this_tree().unwrap()).unwrap()).unwrap());

fn good() -> Bundle {
    GOOD.clone()
}

impl Bundle {
    /// The ClusterServiceVersion with the value at `pointer` replaced.
    fn with_csv(mut self, pointer: &str, value: Value) -> Self {
        let csv = self.object_mut("ClusterServiceVersion");
        match csv.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => panic!("the ClusterServiceVersion has no {pointer}"),
        }
        self
    }

    fn with_manifest(mut self, object: Value) -> Self {
        self.manifests
            .push(("manifests/extra.yaml".to_owned(), object));
        self
    }

    fn object_mut(&mut self, kind: &str) -> &mut Value {
        self.manifests
            .iter_mut()
            .map(|(_, object)| object)
            .find(|object| object["kind"] == kind)
            .unwrap()
    }

    fn installed_mut(&mut self, kind: &str) -> &mut Value {
        self.install
            .iter_mut()
            .find(|object| object["kind"] == kind)
            .unwrap()
    }

    fn is_refused_with(&self, part: &str) {
        let broken = self.broken_rules();
        assert!(
            broken.iter().any(|sentence| sentence.contains(part)),
            "no sentence with {part:?} in {broken:#?}"
        );
    }
}

const ANNOTATIONS: &str = "/metadata/annotations";
const DEPLOYMENT: &str = "/spec/install/spec/deployments/0/spec/template/spec";

#[test]
fn the_bundle_of_this_tree_breaks_no_rule() {
    assert_eq!(good().broken_rules(), Vec::<String>::new());
}

#[test]
fn a_name_that_does_not_say_the_version_is_refused() {
    good()
        .with_csv("/metadata/name", json!("gloonet-operator"))
        .is_refused_with("not package and version");
}

#[test]
fn a_version_that_is_not_semantic_is_refused() {
    good()
        .with_csv("/spec/version", json!("0.1"))
        .is_refused_with("no semantic version");
}

#[test]
fn a_bundle_without_a_csv_is_refused() {
    let mut bundle = good();
    bundle
        .manifests
        .retain(|(_, object)| object["kind"] != "ClusterServiceVersion");
    bundle.is_refused_with("has 0 ClusterServiceVersions");
}

#[test]
fn any_other_install_mode_is_refused() {
    good()
        .with_csv("/spec/installModes/0/supported", json!(true))
        .is_refused_with("OwnNamespace");
    good()
        .with_csv("/spec/installModes/3/supported", json!(false))
        .is_refused_with("needs AllNamespaces");
}

#[test]
fn every_field_that_people_read_is_required() {
    for (pointer, value, sentence) in [
        ("/spec/displayName", json!("GN"), "displayName"),
        ("/spec/description", json!("short"), "spec.description"),
        ("/spec/provider/name", json!(""), "provider.name"),
        ("/spec/maintainers/0/email", json!("nobody"), "e-mail"),
        ("/spec/links/0/url", json!("ftp://x"), "https link"),
        ("/spec/keywords", json!([]), "keywords"),
        ("/spec/icon/0/mediatype", json!("image/bmp"), "media type"),
        ("/spec/minKubeVersion", json!("1.32"), "minKubeVersion"),
        (
            "/metadata/annotations/description",
            json!("x".repeat(136)),
            "135 characters",
        ),
        (
            "/metadata/annotations/capabilities",
            json!("Perfect"),
            "five levels",
        ),
        (
            "/metadata/annotations/categories",
            json!("Networks"),
            "categories of OperatorHub",
        ),
        ("/metadata/annotations/createdAt", json!(""), "createdAt"),
    ] {
        good().with_csv(pointer, value).is_refused_with(sentence);
    }
}

#[test]
fn an_image_that_is_used_must_be_related() {
    good()
        .with_csv(
            &format!("{DEPLOYMENT}/containers/0/image"),
            json!("docker.io/library/busybox:1"),
        )
        .is_refused_with("busybox:1 is used but not among relatedImages");
}

#[test]
fn disconnected_may_only_be_promised_with_digests() {
    let promised = format!("{ANNOTATIONS}/features.operators.openshift.io~1disconnected");
    good()
        .with_csv(&promised, json!("true"))
        .with_csv(
            "/spec/relatedImages/0/image",
            json!("ghcr.io/gloonetwork/x:1"),
        )
        .is_refused_with("has no digest");
}

#[test]
fn a_related_image_is_named_once_with_a_whole_digest() {
    let mut bundle = good();
    let images = bundle
        .object_mut("ClusterServiceVersion")
        .pointer_mut("/spec/relatedImages")
        .unwrap();
    let first = images[0].clone();
    images.as_array_mut().unwrap().push(first);
    bundle.is_refused_with("twice");
    good()
        .with_csv(
            "/spec/relatedImages/0/image",
            json!("ghcr.io/gloonetwork/x:1@sha256:abc"),
        )
        .is_refused_with("64 digits");
}

#[test]
fn the_examples_match_the_owned_kinds() {
    let place = format!("{ANNOTATIONS}/alm-examples");
    good()
        .with_csv(&place, json!("[]"))
        .is_refused_with("no GlooNetwork");
    good()
        .with_csv(&place, json!("not json"))
        .is_refused_with("no JSON list");
    good()
        .with_csv(&place, json!("[{\"kind\": \"Gadget\"}]"))
        .is_refused_with("does not own");
}

#[test]
fn features_are_said_in_words_and_ranges_have_two_ends() {
    let cni = format!("{ANNOTATIONS}/features.operators.openshift.io~1cni");
    good()
        .with_csv(&cni, json!(true))
        .is_refused_with("cni must be");
    let mut bundle = good();
    bundle.object_mut("ClusterServiceVersion")["metadata"]["annotations"]["olm.skipRange"] =
        json!("<1.0.0");
    bundle.is_refused_with("open at one end");
}

#[test]
fn an_owned_definition_must_be_bundled_and_described() {
    let mut bundle = good();
    bundle
        .manifests
        .retain(|(_, object)| object["kind"] != "CustomResourceDefinition");
    bundle.is_refused_with("owned but not in manifests/");
    let mut bundle = good();
    bundle.object_mut("CustomResourceDefinition")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        ["description"] = json!("");
    bundle.is_refused_with("the schema has no description");
    good()
        .with_csv("/spec/customresourcedefinitions/owned", json!([]))
        .is_refused_with("not owned");
}

#[test]
fn the_operators_service_account_may_not_be_bundled() {
    good()
        .with_manifest(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gloonet-operator"}}))
        .is_refused_with("OLM makes the ServiceAccount");
}

#[test]
fn kinds_and_versions_that_olm_refuses_are_refused_here() {
    for (object, sentence) in [
        (
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}),
            "takes no NetworkPolicy",
        ),
        (
            json!({"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget"}),
            "removed from Kubernetes",
        ),
        (
            json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "globalDefault": true}),
            "cluster's default",
        ),
        (
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": {"maxUnavailable": 0}}),
            "no eviction",
        ),
    ] {
        good().with_manifest(object).is_refused_with(sentence);
    }
}

#[test]
fn every_container_requests_cpu_and_memory() {
    good()
        .with_csv(
            &format!("{DEPLOYMENT}/containers/0/resources"),
            json!({"requests": {"cpu": "10m"}}),
        )
        .is_refused_with("requests no memory");
}

#[test]
fn wide_rights_are_refused() {
    let rules = "/spec/install/spec/clusterPermissions/0/rules/0";
    for (rule, sentence) in [
        (
            json!({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}),
            "wildcard",
        ),
        (
            json!({"apiGroups": [""], "resources": ["nodes/proxy"], "verbs": ["get"]}),
            "opens nodes/proxy",
        ),
        (
            json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["escalate"]}),
            "verb escalate",
        ),
        (
            json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["bind"]}),
            "may bind any role",
        ),
    ] {
        good().with_csv(rules, rule).is_refused_with(sentence);
    }
}

#[test]
fn annotations_have_the_values_olm_knows() {
    for (key, value, sentence) in [
        ("bundle.mediatype.v1", "plain+v0", "mediatype"),
        ("bundle.channels.v1", "alpha", "does not begin with"),
        ("bundle.channel.default.v1", "stable", "default channel"),
        ("bundle.package.v1", "other", "not package and version"),
    ] {
        let mut bundle = good();
        bundle.annotations["annotations"][format!("operators.operatorframework.io.{key}")] =
            json!(value);
        bundle.is_refused_with(sentence);
    }
}

#[test]
fn the_install_file_has_every_part_in_an_order_that_applies() {
    let mut bundle = good();
    bundle.install.reverse();
    bundle.is_refused_with("before its namespace");
    let mut bundle = good();
    bundle
        .install
        .retain(|object| object["kind"] != "ClusterRole");
    bundle.is_refused_with("has no ClusterRole");
    let mut bundle = good();
    let csv = bundle.csv().clone();
    bundle.install.push(csv);
    bundle.is_refused_with("needs OLM");
}

#[test]
fn an_operator_that_waits_for_the_network_it_brings_is_refused() {
    let mut bundle = good();
    bundle.installed_mut("Deployment")["spec"]["template"]["spec"]["hostNetwork"] = json!(false);
    bundle.is_refused_with("not on the host network");
    let mut bundle = good();
    bundle.installed_mut("Deployment")["spec"]["template"]["spec"]["tolerations"] = json!([]);
    bundle.is_refused_with("does not tolerate node.kubernetes.io/not-ready");
    let mut bundle = good();
    bundle.installed_mut("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([]);
    bundle.is_refused_with("KUBERNETES_SERVICE_HOST");
}
