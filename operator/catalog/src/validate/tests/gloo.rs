use gloonet_api::{ManagementState, Role, redis::RedisMode};

use super::{names, refused};

#[test]
fn an_agent_that_would_find_no_server_is_refused_with_the_cure() {
    let workload = |address: Option<&str>| {
        let address = address.map(str::to_owned);
        refused(move |spec| {
            spec.role = Role::Workload;
            spec.telemetry.collectors.state = ManagementState::Removed;
            spec.gloo.agent.management_address = address;
        })
    };
    assert_eq!(
        workload(Some("relay.example.org:9900")),
        Vec::<String>::new()
    );
    assert_eq!(workload(Some("172.30.0.10:9900")), Vec::<String>::new());
    names(
        &workload(None),
        &["gloo.agent.managementAddress", "host:port"],
    );
    for bad in [
        "relay",
        "relay:0",
        "relay:99999",
        ":9900",
        "https://r:9900",
        "a b:1",
    ] {
        names(&workload(Some(bad)), &["gloo.agent.managementAddress", bad]);
    }
    let elsewhere = refused(|spec| {
        spec.gloo.agent.management_address = Some("172.30.0.10:9900".to_owned());
    });
    names(
        &elsewhere,
        &["gloo.agent.managementAddress", "leave it out"],
    );
    let alone = refused(|spec| {
        spec.gloo.management_server.state = ManagementState::Removed;
    });
    names(&alone, &["gloo.agent.state", "Removed"]);
}

#[test]
fn a_cluster_that_takes_part_has_a_name_that_fits_a_certificate() {
    names(
        &refused(|spec| "1west".clone_into(&mut spec.cluster_name)),
        &["clusterName", "a letter first"],
    );
    let alone = refused(|spec| {
        "1west".clone_into(&mut spec.cluster_name);
        spec.gloo.management_server.state = ManagementState::Removed;
        spec.gloo.agent.state = ManagementState::Removed;
    });
    assert_eq!(alone, Vec::<String>::new());
}

#[test]
fn a_management_server_without_a_redis_is_refused() {
    let refusals = refused(|spec| spec.redis.mode = RedisMode::Disabled);
    names(&refusals, &["gloo.managementServer.state", "redis.mode"]);
}
