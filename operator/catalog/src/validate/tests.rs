mod gloo;
mod hubble;
mod load_balancer;
mod resources;
mod routing;
mod standing;
mod telemetry;

use gloonet_api::prometheus::PrometheusMode;
use gloonet_api::redis::{ExternalRedis, ExternalTls, RedisMode};
use gloonet_api::{GlooNetworkSpec, ManagementState, Role, Switch};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use proptest::prelude::{Strategy, any, prop_oneof};

use super::*;
use crate::SecretFacts;
use crate::component::tests::facts;

/// The refusals of a specification that differs from the default in one thing.
fn refused(change: impl FnOnce(&mut GlooNetworkSpec)) -> Vec<String> {
    refused_with(change, |_| {})
}

fn refused_with(
    change: impl FnOnce(&mut GlooNetworkSpec),
    around: impl FnOnce(&mut ClusterFacts),
) -> Vec<String> {
    let (mut spec, mut facts) = (GlooNetworkSpec::named("west"), facts());
    change(&mut spec);
    around(&mut facts);
    match validate(&spec, &facts) {
        Ok(_) => Vec::new(),
        Err(refusals) => refusals.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn names(refusals: &[String], parts: &[&str]) {
    assert_eq!(refusals.len(), 1, "{refusals:#?}");
    for part in parts {
        assert!(
            refusals[0].contains(part),
            "{part:?} is missing in: {}",
            refusals[0]
        );
    }
}

fn pool(ranges: &[&str]) -> impl Fn(&mut GlooNetworkSpec) {
    let ranges: Vec<String> = ranges.iter().map(|range| (*range).to_owned()).collect();
    move |spec| spec.cilium.ipam.cluster_pool_ipv4_cidrs.clone_from(&ranges)
}

#[test]
fn the_defaults_are_accepted_and_computed_in_full() {
    let input = validate(&GlooNetworkSpec::named("west"), &facts()).unwrap();
    assert_eq!(input.version(), "0.1.0");
    assert_eq!(
        input.spec.cilium.kubernetes_service.unwrap().host,
        "172.30.0.10"
    );
    assert_eq!(input.node_addresses.len(), 2);
}

#[test]
fn an_unknown_version_names_the_one_there_is() {
    names(
        &refused(|spec| spec.version = Some("9.0.0".to_owned())),
        &["spec.version", "9.0.0", "0.1.0"],
    );
}

#[test]
fn a_pool_that_overlaps_a_node_names_the_node() {
    names(
        &refused(pool(&["172.30.0.0/16"])),
        &[
            "172.30.0.0/16",
            "node control-plane",
            "172.30.0.10",
            "choose",
        ],
    );
}

#[test]
fn a_pool_that_overlaps_services_names_their_range() {
    names(
        &refused(pool(&["10.96.128.0/17"])),
        &["10.96.128.0/17", "10.96.0.0/16", "Service"],
    );
}

#[test]
fn ranges_of_the_pool_may_not_overlap_each_other() {
    names(
        &refused(pool(&["10.244.0.0/16", "10.244.128.0/17"])),
        &["10.244.128.0/17 overlaps 10.244.0.0/16"],
    );
}

#[test]
fn a_pool_in_a_special_range_is_refused() {
    for range in [
        "127.0.0.0/16",
        "169.254.0.0/16",
        "224.0.0.0/16",
        "0.0.0.0/0",
    ] {
        assert!(!refused(pool(&[range])).is_empty(), "{range}");
    }
}

#[test]
fn what_is_no_range_has_host_bits_or_is_too_small_is_refused_with_the_right_form() {
    names(&refused(pool(&["ten"])), &["ten", "10.244.0.0/16"]);
    names(
        &refused(pool(&["10.244.1.0/16"])),
        &["host bits", "write 10.244.0.0/16"],
    );
    names(
        &refused(pool(&["10.244.0.0/25"])),
        &["10.244.0.0/25", "maskSize"],
    );
}

#[test]
fn a_pool_with_fewer_blocks_than_nodes_is_refused_with_both_counts() {
    names(
        &refused(pool(&["10.244.0.0/24"])),
        &["1 blocks", "2 nodes", "add a range"],
    );
}

#[test]
fn a_node_without_an_agent_needs_no_block_of_the_pool() {
    let one_elsewhere = |facts: &mut ClusterFacts| facts.nodes[1].agent = false;
    let refusals = refused_with(pool(&["10.244.0.0/24"]), one_elsewhere);
    assert_eq!(refusals, Vec::<String>::new());
}

#[test]
fn an_unknown_api_server_is_refused_with_the_field_to_set() {
    let refusals = refused_with(|_| {}, |facts| facts.api_server = None);
    names(&refusals, &["cilium.kubernetesService.host"]);
}

#[test]
fn an_api_server_behind_the_service_network_that_cilium_is_to_serve_is_refused() {
    let refusals = refused_with(
        |_| {},
        |facts| facts.api_server = Some(("10.96.0.1".to_owned(), 443)),
    );
    names(
        &refusals,
        &["10.96.0.1", "Service address", "control-plane node"],
    );
    let refusals = refused_with(
        |spec| spec.cilium.state = ManagementState::Removed,
        |facts| facts.api_server = Some(("10.96.0.1".to_owned(), 443)),
    );
    assert_eq!(refusals, Vec::<String>::new());
}

fn external(tls: ExternalTls, credentials: Option<&str>) -> impl FnOnce(&mut GlooNetworkSpec) {
    let credentials_secret = credentials.map(str::to_owned);
    move |spec| {
        spec.redis.mode = RedisMode::External;
        spec.redis.external = Some(ExternalRedis {
            address: "redis.example.org:6379".to_owned(),
            tls,
            credentials_secret,
        });
    }
}

#[test]
fn external_redis_without_an_address_is_refused() {
    names(
        &refused(|spec| spec.redis.mode = RedisMode::External),
        &["redis.external.address", "host:port"],
    );
}

#[test]
fn a_missing_secret_and_a_secret_without_its_key_are_named() {
    let missing = refused(external(tls(Switch::Disabled), Some("redis-auth-secrets")));
    names(
        &missing,
        &[
            "Secret gloo-mesh/redis-auth-secrets does not exist",
            "password",
        ],
    );
    let without_key = refused_with(
        external(tls(Switch::Disabled), Some("redis-auth-secrets")),
        |facts| {
            let keys = ["username".to_owned()].into();
            facts
                .secrets
                .insert("redis-auth-secrets".to_owned(), SecretFacts { keys });
        },
    );
    names(&without_key, &["no key password", "username", "add it"]);
}

fn tls(state: Switch) -> ExternalTls {
    ExternalTls {
        state,
        ca_secret: Some("redis-certs".to_owned()),
    }
}

#[test]
fn a_ca_secret_is_only_asked_for_when_tls_is_on() {
    names(
        &refused(external(tls(Switch::Enabled), None)),
        &["redis-certs", "ca.crt"],
    );
    assert_eq!(
        refused(external(tls(Switch::Disabled), None)),
        Vec::<String>::new()
    );
}

#[test]
fn tls_to_a_redis_that_nobody_vouches_for_is_refused_because_no_image_carries_authorities() {
    names(
        &refused(external(ExternalTls::default(), None)),
        &[
            "redis.external.tls.caSecret",
            "redis.example.org:6379",
            "key ca.crt",
            "redis.external.tls.state to Disabled",
        ],
    );
}

#[test]
fn external_prometheus_without_an_address_and_with_a_broken_one_is_refused() {
    names(
        &refused(|spec| spec.prometheus.mode = PrometheusMode::External),
        &["prometheus.external.address"],
    );
    for address in ["prometheus:9090", "http://", "http:///x", "http://a\"b"] {
        names(&prometheus_at(address), &["no URL"]);
    }
    let good = prometheus_at("http://prometheus.monitoring:9090/base/");
    assert_eq!(good, Vec::<String>::new());
}

#[test]
fn a_prometheus_that_speaks_tls_is_refused_because_nobody_could_ask_it() {
    for address in ["https://prometheus.example.org", "https://a\"b"] {
        let refusals = prometheus_at(address);
        names(
            &refusals,
            &["prometheus.external.address", "http:// only", "proxy"],
        );
    }
}

fn prometheus_at(address: &str) -> Vec<String> {
    refused(|spec| {
        spec.prometheus.mode = PrometheusMode::External;
        spec.prometheus.external = Some(gloonet_api::prometheus::ExternalPrometheus {
            address: address.to_owned(),
        });
    })
}

#[test]
fn grafana_without_any_prometheus_is_refused() {
    names(
        &refused(|spec| spec.prometheus.mode = PrometheusMode::Disabled),
        &["grafana.mode", "DashboardsOnly"],
    );
}

#[test]
fn a_role_or_name_that_changes_is_refused_with_the_old_one() {
    let before = |facts: &mut ClusterFacts| {
        facts.previous_role = Some("Management".to_owned());
        facts.previous_cluster_name = Some("west".to_owned());
    };
    names(
        &refused_with(|_| {}, before),
        &[
            "role cannot change from Management to Standalone",
            "set it back",
        ],
    );
    let renamed = refused_with(
        |spec| (spec.cluster_name, spec.role) = ("east".to_owned(), Role::Management),
        before,
    );
    names(&renamed, &["clusterName cannot change from west to east"]);
}

#[test]
fn a_cluster_name_that_is_no_label_is_refused() {
    for name in ["", "West", "-west", "a.b", &"x".repeat(64)] {
        names(
            &refused(|spec| name.clone_into(&mut spec.cluster_name)),
            &["clusterName", "RFC 1123"],
        );
    }
}

#[test]
fn storage_that_the_cluster_cannot_provide_is_refused() {
    let wanted = |class: Option<&str>| {
        let class = class.map(str::to_owned);
        refused(move |spec| {
            spec.redis.managed.persistence.state = Switch::Enabled;
            spec.redis.managed.persistence.storage_class = class;
        })
    };
    names(
        &wanted(None),
        &[
            "no default StorageClass",
            "redis.managed.persistence.storageClass",
        ],
    );
    names(
        &wanted(Some("slow")),
        &["StorageClass slow does not exist", "fast"],
    );
    assert_eq!(wanted(Some("fast")), Vec::<String>::new());
}

#[test]
fn collectors_without_a_gateway_are_refused_with_the_cure() {
    names(
        &refused(|spec| {
            spec.role = Role::Workload;
            spec.gloo.agent.management_address = Some("relay.example:9900".to_owned());
        }),
        &["telemetry.collectors.state", "Workload", "gatewayAddress"],
    );
    let refusals = refused(|spec| {
        spec.role = Role::Workload;
        spec.gloo.agent.management_address = Some("relay.example:9900".to_owned());
        spec.telemetry.collectors.gateway_address = Some("relay.example".to_owned());
    });
    names(
        &refusals,
        &["telemetry.collectors.gatewayAddress", "host:port"],
    );
    let refusals = refused(|spec| {
        spec.telemetry.collectors.gateway_address = Some("relay.example:4320".to_owned());
    });
    names(
        &refusals,
        &["telemetry.collectors.gatewayAddress", "leave it out"],
    );
    let refusals = refused(|spec| spec.telemetry.gateway.state = ManagementState::Removed);
    names(&refusals, &["telemetry.collectors.state", "Removed"]);
}

#[test]
fn an_override_for_no_image_and_a_pause_of_no_component_are_refused() {
    let refusals = refused(|spec| {
        spec.images
            .overrides
            .insert("graphana".to_owned(), "a.example/b:1".to_owned());
    });
    names(&refusals, &["graphana", "grafana"]);
}

#[test]
fn every_refusal_is_told_at_once() {
    let refusals = refused(|spec| {
        spec.version = Some("9".to_owned());
        spec.redis.mode = RedisMode::External;
        spec.prometheus.mode = PrometheusMode::External;
    });
    assert_eq!(refusals.len(), 3, "{refusals:#?}");
}

#[test]
fn a_zero_or_malformed_retention_is_refused() {
    for retention in ["0d", "d", "7 days", "7"] {
        names(
            &refused(|spec| retention.clone_into(&mut spec.prometheus.managed.retention)),
            &["retention", "7d"],
        );
    }
}

const TAKEN: [&str; 7] = [
    "10.96.0.0/16",
    "172.30.0.10/32",
    "172.30.0.11/32",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/3",
    "0.0.0.0/8",
];

/// Addresses anywhere, half of them close to what is in use.
fn addresses() -> impl Strategy<Value = u32> {
    let near = (0..TAKEN.len(), any::<u16>()).prop_map(|(index, offset)| {
        let net: ipnet::Ipv4Net = TAKEN[index].parse().unwrap();
        net.network().to_bits().wrapping_add(u32::from(offset) << 8)
    });
    prop_oneof![any::<u32>(), near]
}

proptest::proptest! {
    /// The reference: two ranges overlap when one holds the other's first address.
    #[test]
    fn a_range_is_accepted_exactly_when_it_touches_nothing_in_use(address in addresses(), prefix in 8_u8..=24) {
        let net = ipnet::Ipv4Net::new(address.into(), prefix).unwrap().trunc();
        let holds = |outer: ipnet::Ipv4Net, inner: ipnet::Ipv4Net| outer.contains(&inner.network());
        let free = TAKEN.iter().map(|text| text.parse().unwrap()).all(|other| !holds(net, other) && !holds(other, net));
        let large_enough = prefix < 24;
        let refusals = refused(pool(&[&net.to_string()]));
        proptest::prop_assert_eq!(refusals.is_empty(), free && large_enough, "{}: {:?}", net, refusals);
    }

    #[test]
    fn no_text_in_the_pool_breaks_validation(text in ".{0,24}", mask: u8) {
        let refusals = refused(|spec| {
            spec.cilium.ipam.cluster_pool_ipv4_cidrs = vec![text.clone()];
            spec.cilium.ipam.mask_size = mask;
        });
        proptest::prop_assert!(refusals.iter().all(|refusal| refusal.starts_with("spec.")));
    }
}
