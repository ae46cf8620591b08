//! Host ports of pods beside Services.

use super::*;

#[test]
fn a_host_port_of_a_running_pod_is_at_the_nodes_address_and_yields_to_a_service() {
    let pod = |name: &str, spec: Value, phase: &str| -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": name}, "spec": spec,
            "status": {"phase": phase, "podIP": "10.244.1.9"},
        }))
        .unwrap()
    };
    let spec = |ports: Value| json!({"containers": [{"name": "main", "ports": ports}]});
    let wanted = json!([
        {"containerPort": 8080, "hostPort": 80}, {"containerPort": 53, "hostPort": 53, "protocol": "UDP"},
        {"containerPort": 9, "hostPort": 9, "hostIP": "198.51.100.1"}, {"containerPort": 10},
        {"containerPort": 8443, "hostPort": 443, "hostIP": "127.0.0.1"},
    ]);
    let running = pod("a", spec(wanted.clone()), "Running");
    let balanced = translate([], &Slices::default(), [&running], OWN);
    let found: Vec<_> = balanced
        .values()
        .filter(|one| one.frontend.scope == Scope::Outside)
        .map(|one| (one.frontend.ip, one.frontend.port, one.backends[0]))
        .collect();
    assert_eq!(
        found,
        [
            (OWN.ip, 53, backend("10.244.1.9:53")),
            (OWN.ip, 80, backend("10.244.1.9:8080"))
        ]
    );
    let at_home: Vec<_> = balanced
        .keys()
        .filter(|frontend| frontend.ip.is_loopback())
        .map(|frontend| (frontend.port, frontend.scope))
        .collect();
    assert_eq!(at_home, [(443, Scope::Inside)]);
    let mut on_host = spec(wanted.clone());
    on_host["hostNetwork"] = json!(true);
    for silent in [
        pod("b", spec(wanted.clone()), "Succeeded"),
        pod("c", on_host, "Running"),
    ] {
        assert!(translate([], &Slices::default(), [&silent], OWN).is_empty());
    }
    let mut taken = load_balancer();
    taken["ports"][0]["nodePort"] = json!(80);
    let service = service(taken);
    let balanced = translate([&service], &Slices::default(), [&running], OWN);
    let port_80 = balanced.values().find(|one| {
        (one.frontend.ip, one.frontend.port, one.frontend.scope) == (OWN.ip, 80, Scope::Outside)
    });
    assert_eq!(port_80.unwrap().backends, []);
}
