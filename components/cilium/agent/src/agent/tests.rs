use datapath::Fake;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::*;
use crate::bell::Bells;
use crate::endpoint::AttachmentKey;
use crate::endpoints::{Admitted, NewEndpoint};
use crate::ipam;
use crate::kubernetes::Readers;
use crate::metrics::calls::Calls;
use crate::store::Store;
use cilium_api::{CiliumIdentity, NumericIdentity, identity_labels};

/// The agent of node worker-1, around a datapath in memory.
pub(crate) struct Alone {
    pub(crate) agent: Arc<Agent>,
    pub(crate) datapath: Arc<Fake>,
    _folder: tempfile::TempDir,
}

/// Its API server is not there.
pub(crate) async fn alone() -> Alone {
    beside("http://127.0.0.1:1", None).await
}

pub(crate) async fn beside(api_server: &str, own_pod: Option<OwnPod>) -> Alone {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let credentials = json!({
        "clusters": [{"name": "c", "cluster": {"server": api_server}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}], "current-context": "c",
    });
    std::fs::write(&kubeconfig, credentials.to_string()).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubernetes = Kubernetes::connect(Some(&kubeconfig), &Calls::default())
        .await
        .unwrap();
    let datapath = Arc::new(Fake::new());
    let store = Store::open(&folder.path().join("state")).unwrap();
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
    let pool = ipam::Pool::new(own.pod_cidrs.clone(), own.router);
    let policies = Policies::new(datapath.clone(), store.clone(), 100).unwrap();
    let endpoints = Endpoints::new(pool, datapath.clone(), store, Bells::default(), 1);
    let watched = Arc::new(Watched::new(&Readers::default()));
    let agent = Agent::new(
        own,
        own_pod,
        endpoints,
        policies,
        watched,
        kubernetes,
        datapath.clone(),
    );
    Alone {
        agent: Arc::new(agent),
        datapath,
        _folder: folder,
    }
}

impl Alone {
    /// Everything was listed once; what was told before is gone.
    pub(crate) fn list_all(&self) {
        let watched = &self.agent.watched;
        watched.pods.take(Ok(Event::InitDone));
        watched.namespaces.take(Ok(Event::InitDone));
        watched.services.take(Ok(Event::InitDone));
        watched.slices.take(Ok(Event::InitDone));
        watched.nodes.take(Ok(Event::InitDone));
        watched.endpoints.take(Ok(Event::InitDone));
        watched.identities.take(Ok(Event::InitDone));
        watched.network_policies.take(Ok(Event::InitDone));
        watched.policies.take(Ok(Event::InitDone));
        watched.clusterwide_policies.take(Ok(Event::InitDone));
        watched.cidr_groups.take(Ok(Event::InitDone));
    }

    fn namespace() -> Value {
        json!({"metadata": {"name": "shop"}})
    }

    fn pod(name: &str, app: &str) -> Value {
        json!({"metadata": {"namespace": "shop", "name": name, "uid": name, "labels": {"app": app}}})
    }

    /// The pod object, with this label, in namespace `shop`.
    pub(crate) fn tell_pod(&self, name: &str, app: &str) {
        let watched = &self.agent.watched;
        let namespace = serde_json::from_value(Self::namespace()).unwrap();
        watched.namespaces.take(Ok(Event::Apply(namespace)));
        let pod = serde_json::from_value(Self::pod(name, app)).unwrap();
        watched.pods.take(Ok(Event::Apply(pod)));
    }

    /// The number of the pods with this label.
    pub(crate) fn tell_identity(&self, number: u32, app: &str) {
        let pod: Pod = serde_json::from_value(Self::pod("any", app)).unwrap();
        let namespace: Namespace = serde_json::from_value(Self::namespace()).unwrap();
        let labels = identity_labels(&pod, &namespace, &self.agent.own.cluster);
        let object = CiliumIdentity::new(NumericIdentity(number), labels);
        let object = serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap();
        self.agent.watched.identities.take(Ok(Event::Apply(object)));
    }

    /// The pod's endpoint, as an ADD makes it before anything is known of the pod.
    pub(crate) fn attach(&self, name: &str) -> Endpoint {
        let endpoints = &self.agent.endpoints;
        let now = std::time::Instant::now();
        let (ip, lease) = endpoints.lease(name, now).unwrap();
        let new = NewEndpoint {
            attachment: AttachmentKey {
                container_id: name.to_owned(),
                ifname: "eth0".to_owned(),
            },
            pod: Some(PodRef {
                namespace: "shop".to_owned(),
                name: name.to_owned(),
                uid: name.to_owned(),
            }),
            ip,
            lease,
            mac: datapath::Mac::default(),
            host_mac: datapath::Mac::default(),
            ifindex: 7,
            interface: format!("lxc-{name}"),
        };
        let admitted = Admitted {
            identity: Resolved::init(),
            policy: 0,
        };
        endpoints.put(new, admitted, now).unwrap()
    }
}

#[test]
fn an_endpoint_that_stays_as_it_was_is_no_regeneration_and_one_that_failed_is() {
    let tally = Tally::default();
    let count = |changed| tally.regenerated(&changed);
    assert_eq!(
        [Ok(false), Ok(true), Err(())].map(count),
        [false, true, true]
    );
    assert_eq!(tally.regenerations.into_inner(), 1);
    assert_eq!(tally.regenerations_failed.into_inner(), 1);
}
