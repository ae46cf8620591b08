use cilium_api::{EndpointState, NumericIdentity};

use super::*;
use crate::endpoint::{AttachmentKey, PodRef};

fn endpoint(id: u16) -> Endpoint {
    Endpoint {
        id,
        attachment: AttachmentKey {
            container_id: "abc".to_owned(),
            ifname: "eth0".to_owned(),
        },
        pod: None,
        ip: Ipv4Addr::new(10, 244, 1, 9),
        mac: datapath::Mac([2, 0, 0, 0, 0, 1]),
        host_mac: datapath::Mac([2, 0, 0, 0, 0, 2]),
        ifindex: 7,
        interface: "lxc1".to_owned(),
        identity: NumericIdentity(300),
        labels: vec!["k8s:app=web".to_owned()],
        policy: 4,
        state: EndpointState::Ready,
    }
}

fn node() -> NodeState {
    NodeState {
        ip: Ipv4Addr::new(172, 30, 0, 11),
        pod_cidrs: vec!["10.244.1.0/24".parse().unwrap()],
        router: Ipv4Addr::new(10, 244, 1, 1),
    }
}

#[test]
fn endpoints_and_node_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.node(), None);
    store.write_node(&node()).unwrap();
    store.write_endpoint(&endpoint(2)).unwrap();
    store.write_endpoint(&endpoint(1)).unwrap();
    store.remove_endpoint(2).unwrap();
    store.remove_endpoint(2).unwrap();
    drop(store);
    let again = Store::open(folder.path()).unwrap();
    assert_eq!(again.node(), Some(node()));
    let prefixes = BTreeMap::from([("10.0.0.0/8".parse().unwrap(), 3)]);
    assert_eq!(again.prefixes(), None);
    again.write_prefixes(&prefixes).unwrap();
    assert_eq!(again.prefixes(), Some(prefixes));
    assert_eq!(again.load(), [endpoint(1)]);
    assert_eq!(again.unread(), Vec::<String>::new());
}

#[test]
fn two_agents_do_not_share_a_folder_and_the_second_is_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();
    let clone = first.clone();
    drop(first);
    let refused = Store::open(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("another agent runs"), "{refused}");
    assert!(refused.contains("lockfile"), "{refused}");
    drop(clone);
    assert!(Store::open(folder.path()).is_ok());
}

#[tokio::test]
async fn a_successor_waits_for_an_agent_that_is_ending() {
    let folder = tempfile::tempdir().unwrap();
    let ending = Store::open(folder.path()).unwrap();
    let claim = Store::claim(folder.path());
    let end = async move {
        tokio::time::sleep(PAUSE * 3).await;
        drop(ending);
    };
    let (claimed, ()) = tokio::join!(claim, end);
    claimed.unwrap();
}

#[test]
fn a_half_written_file_costs_only_its_own_endpoint_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.write_endpoint(&endpoint(1)).unwrap();
    fs::write(folder.path().join("endpoints/2.json"), b"{\"id\":").unwrap();
    fs::write(folder.path().join("endpoints/3.next"), b"{").unwrap();
    assert_eq!(store.load(), [endpoint(1)]);
    let said = store.unread();
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("2.json"), "{said:?}");
    assert!(!folder.path().join("endpoints/3.next").exists());
}

/// The state folder of an agent that wrote this version.
fn written_by(version: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in fixtures(version) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn fixtures(version: usize) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/fixtures/v{version}"));
    let mut all = Vec::new();
    for folder in ["", "endpoints/"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_str().unwrap();
                let text = fs::read_to_string(&path).unwrap();
                all.push((format!("{folder}{name}"), text));
            }
        }
    }
    all
}

#[test]
fn what_every_version_of_the_agent_wrote_is_read_to_the_same() {
    for version in 0..=NodeState::STEPS.len() {
        let folder = written_by(version);
        let store = Store::open(folder.path()).unwrap();
        let web = Endpoint {
            id: 7,
            pod: Some(PodRef {
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
                uid: "7f1c".to_owned(),
            }),
            ..endpoint(7)
        };
        let without_policy = Endpoint {
            ip: Ipv4Addr::new(10, 244, 1, 10),
            ifindex: 8,
            interface: "lxc2".to_owned(),
            policy: 0,
            ..endpoint(8)
        };
        assert_eq!(store.load(), [web, without_policy], "version {version}");
        assert_eq!(store.node(), Some(node()), "version {version}");
        let prefixes = [("10.0.0.0/8", 3), ("192.0.2.0/24", 4)];
        let prefixes = prefixes.map(|(prefix, number)| (prefix.parse().unwrap(), number));
        assert_eq!(store.prefixes(), Some(prefixes.into()), "version {version}");
        assert_eq!(store.unread(), Vec::<String>::new());
    }
}

/// Whoever changes what is written has a new version, a step to it and a fixture to make.
#[test]
fn what_is_written_now_is_what_the_fixture_of_the_present_version_says() {
    let folder = written_by(0);
    let store = Store::open(folder.path()).unwrap();
    store.write_node(&store.node().unwrap()).unwrap();
    store.write_prefixes(&store.prefixes().unwrap()).unwrap();
    for endpoint in store.load() {
        store.write_endpoint(&endpoint).unwrap();
    }
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for (name, text) in fixtures(NodeState::STEPS.len()) {
        let written = fs::read_to_string(folder.path().join(&name)).unwrap();
        assert_eq!(json(&written), json(&text), "{name}");
    }
}

const LATER: &str = r#"{"version": 99, "what": "nobody knows yet"}"#;

#[test]
fn what_a_later_release_wrote_of_an_endpoint_stays_until_its_pod_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let path = folder.path().join("endpoints/5.json");
    fs::write(&path, LATER).unwrap();
    assert_eq!(store.load(), []);
    let said = store.unread();
    assert!(
        said[0].contains("5.json is of version 99, and this release of the agent reads up to 1"),
        "{said:?}"
    );
    store.write_endpoint(&endpoint(5)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), LATER);
    assert!(store.is_of_later_release(5));
    store.remove_endpoint(5).unwrap();
    assert!(!path.exists());
    store.write_endpoint(&endpoint(5)).unwrap();
    assert_eq!(store.load(), [endpoint(5)]);
}

#[test]
fn what_cannot_be_read_of_node_and_prefixes_is_told_and_put_aside_before_anything_is_written() {
    for unreadable in [LATER, "{", "[]", r#"{"version": "one"}"#] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for name in ["node", "prefixes"] {
            fs::write(folder.path().join(format!("{name}.json")), unreadable).unwrap();
        }
        assert_eq!((store.node(), store.prefixes()), (None, None));
        let said = store.unread();
        assert!(said[0].contains("node.json"), "{said:?}");
        assert!(said[1].contains("prefixes.json"), "{said:?}");
        store.write_node(&node()).unwrap();
        store.write_prefixes(&BTreeMap::new()).unwrap();
        store.write_node(&node()).unwrap();
        assert_eq!(store.node(), Some(node()));
        for name in ["node", "prefixes"] {
            let aside = folder.path().join(format!("{name}.aside"));
            assert_eq!(fs::read_to_string(aside).unwrap(), unreadable);
        }
    }
}
