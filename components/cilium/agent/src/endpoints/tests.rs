use datapath::{Fake, IpEntry, Mac};
use ipnet::Ipv4Net;

use super::*;

const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 1);

struct Node {
    endpoints: Endpoints,
    datapath: Arc<Fake>,
    store: Store,
    folder: tempfile::TempDir,
}

fn node() -> Node {
    let folder = tempfile::tempdir().unwrap();
    let datapath = Arc::new(Fake::new());
    let store = Store::open(folder.path()).unwrap();
    let endpoints = start(&store, &datapath);
    Node {
        endpoints,
        datapath,
        store,
        folder,
    }
}

fn start(store: &Store, datapath: &Arc<Fake>) -> Endpoints {
    let pool = Pool::new(vec!["10.244.1.0/24".parse().unwrap()], ROUTER);
    Endpoints::new(pool, datapath.clone(), store.clone(), Bells::default(), 7)
}

fn key(id: &str) -> AttachmentKey {
    AttachmentKey {
        container_id: id.to_owned(),
        ifname: "eth0".to_owned(),
    }
}

fn new(id: &str, ip: Ipv4Addr, lease: &str) -> NewEndpoint {
    NewEndpoint {
        attachment: key(id),
        pod: Some(PodRef {
            namespace: "shop".to_owned(),
            name: id.to_owned(),
            uid: "u".to_owned(),
        }),
        ip,
        lease: lease.to_owned(),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        host_mac: Mac([2, 0, 0, 0, 0, 2]),
        ifindex: 7,
        interface: format!("lxc{id}"),
    }
}

fn web() -> Admitted {
    let identity = Resolved {
        number: NumericIdentity(300),
        labels: vec!["k8s:app=web".to_owned()],
    };
    Admitted {
        identity,
        policy: 2,
    }
}

fn unknown() -> Admitted {
    Admitted {
        identity: Resolved::init(),
        policy: 1,
    }
}

/// Lease and put, as an ADD does.
fn add(node: &Node, id: &str, admitted: Admitted) -> Endpoint {
    let now = Instant::now();
    let (ip, lease) = node.endpoints.lease(id, now).unwrap();
    node.endpoints
        .put(new(id, ip, &lease), admitted, now)
        .unwrap()
}

#[test]
fn when_put_returns_the_datapath_has_the_pod_with_its_identity() {
    let node = node();
    let endpoint = add(&node, "a", web());
    assert_eq!(endpoint.state, EndpointState::Ready);
    assert_eq!(
        node.datapath.endpoints().unwrap(),
        [endpoint.for_datapath()]
    );
    let ips = node.datapath.ips().unwrap();
    assert_eq!(
        ips,
        [(
            Ipv4Net::from(endpoint.ip),
            IpEntry {
                identity: 300,
                tunnel: None
            }
        )]
    );
}

#[test]
fn deleting_leaves_nothing_in_the_datapath_the_pool_or_on_disk_and_may_be_repeated() {
    let node = node();
    add(&node, "a", web());
    assert!(node.endpoints.delete(&key("a")).unwrap());
    assert!(!node.endpoints.delete(&key("a")).unwrap());
    assert!(node.datapath.endpoints().unwrap().is_empty());
    assert!(node.datapath.ips().unwrap().is_empty());
    assert_eq!(node.endpoints.allocations().len(), 1, "only the router's");
    assert!(node.store.load().is_empty());
}

#[test]
fn a_number_that_a_later_release_gave_is_given_to_nobody() {
    let node = node();
    let path = node.folder.path().join("endpoints/1.json");
    std::fs::write(&path, r#"{"version": 99}"#).unwrap();
    node.store.load();
    assert_eq!(add(&node, "a", web()).id, 2);
    assert!(path.exists());
}

#[test]
fn a_second_add_for_one_container_is_refused_and_the_first_stays() {
    let node = node();
    let first = add(&node, "a", web());
    let (ip, lease) = node.endpoints.lease("a", Instant::now()).unwrap();
    let error = node
        .endpoints
        .put(new("a", ip, &lease), web(), Instant::now())
        .unwrap_err();
    assert!(matches!(error, EndpointError::Exists(_)));
    assert_eq!(node.endpoints.list(), [first]);
}

#[test]
fn a_pod_that_starts_as_init_gets_its_identity_in_the_datapath_when_it_is_known() {
    let node = node();
    let endpoint = add(&node, "a", unknown());
    assert_eq!(endpoint.state, EndpointState::WaitingForIdentity);
    assert!(node.endpoints.set_identity(endpoint.id, &web()).unwrap());
    assert!(!node.endpoints.set_identity(endpoint.id, &web()).unwrap());
    assert_eq!(node.datapath.endpoints().unwrap()[0].identity, 300);
    assert_eq!(node.datapath.ips().unwrap()[0].1.identity, 300);
    assert_eq!(
        node.endpoints.get(endpoint.id).unwrap().state,
        EndpointState::Ready
    );
}

#[test]
fn an_identity_that_could_not_be_written_is_written_by_the_next_try() {
    let node = node();
    let endpoint = add(&node, "a", unknown());
    let folder = node.folder.path().join("endpoints");
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(node.endpoints.set_identity(endpoint.id, &web()).is_err());
    std::fs::create_dir(&folder).unwrap();
    assert!(node.endpoints.set_identity(endpoint.id, &web()).unwrap());
    let kept = node.store.load();
    assert_eq!(kept[0].identity, NumericIdentity(300));
    assert!(!node.endpoints.set_identity(endpoint.id, &web()).unwrap());
}

/// The first is in the middle of a pass when a runtime asks for the second.
#[test]
fn a_deletion_leaves_nothing_while_the_pod_is_given_another_identity() {
    let node = node();
    for n in 0..30 {
        let name = n.to_string();
        let id = add(&node, &name, unknown()).id;
        std::thread::scope(|threads| {
            threads.spawn(|| node.endpoints.set_identity(id, &web()).unwrap());
            let is_init = |known: Endpoint| known.identity == NumericIdentity::INIT;
            while node.endpoints.get(id).is_some_and(is_init) {
                std::thread::yield_now();
            }
            assert!(node.endpoints.delete(&key(&name)).unwrap());
        });
    }
    assert!(node.datapath.endpoints().unwrap().is_empty());
    assert!(node.datapath.ips().unwrap().is_empty());
    assert!(node.store.load().is_empty());
}

#[test]
fn a_restart_finds_every_endpoint_and_hands_out_no_address_twice() {
    let node = node();
    let first = add(&node, "a", web());
    let again = start(&node.store, &node.datapath);
    for endpoint in node.store.load() {
        again.adopt(endpoint).unwrap();
    }
    assert_eq!(again.list(), std::slice::from_ref(&first));
    for n in 0..252 {
        assert_ne!(
            again.lease(&n.to_string(), Instant::now()).unwrap().0,
            first.ip
        );
    }
    assert!(again.lease("one-more", Instant::now()).is_err());
}

#[test]
fn numbers_go_round_and_never_use_zero() {
    let node = node();
    node.endpoints.lock().last_id = u16::MAX - 1;
    let ids: Vec<u16> = ["a", "b", "c"].map(|id| add(&node, id, web()).id).into();
    assert_eq!(ids, [u16::MAX, 1, 2]);
}

#[test]
fn an_endpoint_that_lost_its_name_is_named_once_and_keeps_its_address() {
    let node = node();
    let (ip, lease) = node.endpoints.lease("a", Instant::now()).unwrap();
    let nameless = NewEndpoint {
        pod: None,
        ..new("a", ip, &lease)
    };
    let endpoint = node.endpoints.put(nameless, web(), Instant::now()).unwrap();
    let pod = |name: &str| PodRef {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        uid: "u".to_owned(),
    };
    node.endpoints.name(endpoint.id, pod("web")).unwrap();
    node.endpoints.name(endpoint.id, pod("other")).unwrap();
    assert_eq!(node.endpoints.allocations()[&ip], "shop/web");
    let kept = node.store.load();
    assert_eq!(kept[0].pod, Some(pod("web")));
    assert!(node.endpoints.delete(&key("a")).unwrap());
    assert!(!node.endpoints.allocations().contains_key(&ip));
}
