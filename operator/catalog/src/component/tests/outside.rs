use gloonet_api::gloo::ServiceType;

use super::*;

/// TCP ports that some rule of the policy opens to everybody.
fn open_to_everybody(policy: &DynamicObject) -> BTreeSet<u64> {
    let rules = policy.data["spec"]["ingress"].as_array().unwrap();
    let open = rules.iter().filter(|rule| rule.get("from").is_none());
    open.flat_map(|rule| rule["ports"].as_array().unwrap())
        .map(|port| port["port"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_service_for_the_outside_has_the_ports_that_are_open_to_everybody() {
    for kind in [ServiceType::NodePort, ServiceType::LoadBalancer] {
        let input = input_of(|spec| {
            spec.gloo.management_server.service.type_ = kind;
            spec.telemetry.gateway.service.type_ = kind;
        });
        let mut seen = BTreeSet::new();
        for component in catalog() {
            let objects = component.objects(&input).unwrap();
            let outside = objects
                .iter()
                .filter(|object| kind_of(object) == "Service")
                .filter(|service| service.data["spec"]["type"] == kind.as_str());
            for service in outside {
                let name = service.metadata.name.as_deref().unwrap();
                let ports = service.data["spec"]["ports"].as_array().unwrap();
                let ports: BTreeSet<u64> = ports
                    .iter()
                    .map(|port| port["port"].as_u64().unwrap())
                    .collect();
                let policy = named(&objects, "NetworkPolicy", name);
                assert_eq!(ports, open_to_everybody(policy), "{name}");
                seen.insert(name.to_owned());
            }
        }
        assert_eq!(seen.len(), 2, "{seen:?}");
    }
}
