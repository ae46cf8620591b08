//! An agent that finds a running datapath and no state.

use cilium_api::{CiliumIdentity, EndpointState, NumericIdentity, identity_labels};
use datapath::link::Link;
use datapath::{Datapath, Fake, Mac, Routing, Tenant};
use kube::runtime::watcher::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;
use crate::agent::Own;
use crate::bell::Bells;
use crate::endpoints::Endpoints;
use crate::ipam::Pool;
use crate::kubernetes::{Kubernetes, Readers, Watched};
use crate::metrics::calls::Calls;
use crate::policy::Policies;
use crate::restore::restore;
use crate::store::Store;

const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 9);

/// An agent beside the running datapath of another layout, with an empty state folder.
async fn agent(folder: &std::path::Path) -> (Agent, Arc<Fake>) {
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(
        &kubeconfig,
        r#"{"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],
            "contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
            "users":[{"name":"u","user":{}}],"current-context":"c"}"#,
    )
    .unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let calls = Calls::default();
    let kubernetes = Kubernetes::connect(Some(&kubeconfig), &calls)
        .await
        .unwrap();
    let datapath = Arc::new(Fake::new());
    datapath.wait_for_activation();
    let store = Store::open(&folder.join("state")).unwrap();
    let own = Own {
        name: "worker-1".to_owned(),
        ip: Ipv4Addr::new(172, 30, 0, 11),
        router: Ipv4Addr::new(10, 244, 1, 1),
        pod_cidrs: vec!["10.244.1.0/24".parse().unwrap()],
        cluster: "west".to_owned(),
        mtu: 1450,
        routing: Routing::Tunnel,
        maglev: None,
    };
    let pool = Pool::new(own.pod_cidrs.clone(), own.router);
    let policies = Policies::new(datapath.clone(), store.clone(), 100).unwrap();
    let endpoints = Endpoints::new(pool, datapath.clone(), store, Bells::default(), 1);
    let watched = Arc::new(Watched::new(&Readers::default()));
    let agent = Agent::new(
        own,
        None,
        endpoints,
        policies,
        watched,
        kubernetes,
        datapath.clone(),
    );
    (agent, datapath)
}

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
    let folder = tempfile::tempdir().unwrap();
    let (agent, datapath) = agent(folder.path()).await;
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
    restore(&agent.endpoints, Vec::new(), &*datapath, &[link]);
    list(&agent.watched);
    assert_eq!(pass(&agent), Vec::<String>::new());
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
