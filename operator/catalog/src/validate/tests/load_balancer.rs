use cilium_api::names::MAGLEV_TABLE_SIZES;
use gloonet_api::GlooNetwork;
use kube_core::CustomResourceExt;

use super::{names, refused};

#[test]
fn a_table_of_another_size_than_ciliums_is_refused_with_the_sizes_there_are() {
    let of = |size| refused(|spec| spec.cilium.load_balancer.maglev_table_size = size);
    let parts = [
        "spec.cilium.loadBalancer.maglevTableSize",
        "16384 slots",
        "8191, 16381, 32749",
    ];
    names(&of(16_384), &parts);
    for size in MAGLEV_TABLE_SIZES {
        assert!(of(size).is_empty(), "{size}");
    }
}

#[test]
fn the_schema_has_the_same_sizes() {
    let schema = serde_json::to_value(GlooNetwork::crd()).unwrap();
    let root = &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let size = root["properties"]["spec"]["properties"]["cilium"]["properties"]["loadBalancer"]
        ["properties"]["maglevTableSize"]
        .clone();
    assert_eq!(size["enum"], serde_json::json!(MAGLEV_TABLE_SIZES));
    assert_eq!(size["default"], 16_381);
}
