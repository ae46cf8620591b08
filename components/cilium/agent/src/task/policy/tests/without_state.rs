//! An agent that finds a running datapath and no state.

use cilium_api::{CiliumIdentity, EndpointState, NumericIdentity, identity_labels};
use datapath::link::Link;
use datapath::{Datapath, Mac, Tenant};
use kube::runtime::watcher::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;
use crate::agent::tests::alone;
use crate::kubernetes::Watched;
use crate::restore::restore;

const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 9);

/// As a watch hands it over.
fn seen<K: DeserializeOwned>(object: &impl Serialize) -> K {
    serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap()
}

/// The API server's lists: one pod, its namespace, and the number of its labels.
fn list(watched: &Watched) {
    let pod = json!({
        "metadata": {"namespace": "shop", "name": "web", "uid": "u", "labels": {"app": "web"}},
        "spec": {"containers": []}, "status": {"phase": "Running", "podIP": POD},
    });
    let namespace = json!({"metadata": {"name": "shop"}});
    let labels = identity_labels(&seen(&pod), &seen(&namespace), "west");
    let identity = CiliumIdentity::new(NumericIdentity(300), labels);
    watched.pods.take(Ok(Event::Apply(seen(&pod))));
    watched.namespaces.take(Ok(Event::Apply(seen(&namespace))));
    watched.identities.take(Ok(Event::Apply(seen(&identity))));
}

#[tokio::test]
async fn a_pod_of_which_only_its_address_is_known_has_name_identity_and_policy_after_one_pass() {
    let alone = alone().await;
    let (agent, datapath) = (&alone.agent, &alone.datapath);
    datapath.wait_for_activation();
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    datapath.set_tenants(vec![Tenant {
        ip: POD,
        id: 7,
        ifindex: 9,
        mac,
    }]);
    let link = Link {
        index: 9,
        name: "lxc7".to_owned(),
        mac,
        mtu: 1450,
        up: true,
        kind: None,
    };
    restore(&agent.endpoints, Vec::new(), &**datapath, &[link]);
    list(&agent.watched);
    assert_eq!(pass(agent), Vec::<String>::new());
    let known = &agent.endpoints.list()[0];
    assert_eq!(known.owner(), "shop/web");
    assert_eq!(
        (known.identity, known.state),
        (NumericIdentity(300), EndpointState::Ready)
    );
    let written = &datapath.endpoints().unwrap()[0];
    assert_eq!(written.identity, 300);
    assert!(datapath.policy(written.policy).unwrap().is_some());
}
