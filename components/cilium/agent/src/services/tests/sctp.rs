//! SCTP beside the other two.

use super::*;

/// Diameter (RFC 6733) over both, at one port and with two targets.
fn diameter() -> Value {
    json!({
        "type": "LoadBalancer", "clusterIP": "10.96.0.7", "externalIPs": ["203.0.113.7"], "sessionAffinity": "ClientIP",
        "externalTrafficPolicy": "Local", "ports": [
            {"name": "tcp", "port": 3868, "protocol": "TCP", "nodePort": 30868},
            {"name": "sctp", "port": 3868, "protocol": "SCTP", "nodePort": 30868},
        ],
    })
}

fn endpoints() -> EndpointSlice {
    let mut slice = here_and_there();
    slice.ports = serde_json::from_value(json!([
        {"name": "sctp", "port": 9000, "protocol": "TCP"},
        {"name": "sctp", "port": 3900, "protocol": "SCTP"},
        {"name": "tcp", "port": 3800, "protocol": "TCP"},
    ]))
    .unwrap();
    slice
}

#[test]
fn an_sctp_port_is_balanced_at_every_address_by_the_rules_of_its_service() {
    let mut service = service(diameter());
    service.status =
        serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}}))
            .unwrap();
    let found: Vec<_> = translated(&service, &[endpoints()])
        .into_iter()
        .filter(|one| one.frontend.protocol == Protocol::Sctp)
        .map(|one| {
            assert_eq!(one.affinity_seconds, Some(AFFINITY_SECONDS));
            let Frontend {
                ip, port, scope, ..
            } = one.frontend;
            (format!("{ip}:{port}"), scope, one.backends)
        })
        .collect();
    let (near, far) = (backend("10.244.1.5:3900"), backend("10.244.2.5:3900"));
    let places = [
        ("172.30.0.11:30868", Scope::Outside),
        ("198.51.100.9:3868", Scope::Outside),
        ("203.0.113.7:3868", Scope::Outside),
        ("10.96.0.7:3868", Scope::Inside),
        ("172.30.0.11:30868", Scope::Inside),
        ("198.51.100.9:3868", Scope::Inside),
        ("203.0.113.7:3868", Scope::Inside),
    ];
    assert_eq!(found.len(), places.len());
    for (at, scope) in places {
        let backends = match scope {
            Scope::Inside => vec![near, far],
            Scope::Outside => vec![near],
        };
        assert!(found.contains(&(at.to_owned(), scope, backends)), "{at}");
    }
}

#[test]
fn a_host_port_may_be_of_sctp() {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "peer"},
        "spec": {"containers": [{"name": "main", "ports": [{"containerPort": 3900, "hostPort": 3868, "protocol": "SCTP"}]}]},
        "status": {"phase": "Running", "podIP": "10.244.1.9"},
    }))
    .unwrap();
    let balanced = translate([], &Slices::default(), [&pod], OWN);
    let found: Vec<_> = balanced
        .values()
        .map(|one| (one.frontend.protocol, one.frontend.port, one.backends[0]))
        .collect();
    assert_eq!(
        found,
        [(Protocol::Sctp, 3868, backend("10.244.1.9:3900")); 2]
    );
}
