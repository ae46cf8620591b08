use bytes::Bytes;
use gloo_relay::{
    key::ObjectKey,
    table::{Incoming, Limits, Outgoing, Seat, Source},
};

use super::*;
use crate::state::State;

fn cluster(name: &str) -> KubernetesCluster {
    KubernetesCluster::new(name, gloo_api::KubernetesClusterSpec::default())
}

fn seen(names: &[&str]) -> Seen {
    let each = names.iter();
    each.map(|name| (name.parse().unwrap(), cluster(name)))
        .collect()
}

#[test]
fn a_message_that_is_no_longer_true_is_taken_back() {
    let written = whole(&KubernetesClusterStatus::default());
    assert_eq!(written["common"]["State"]["message"], "");
}

#[test]
fn the_last_cluster_can_be_deleted_and_a_list_of_none_is_not_believed() {
    let (mut known, mut listed) = (seen(&["west"]), Seen::new());
    assert!(!follow(Ok(Event::Init), &mut known, &mut listed));
    assert!(!follow(Ok(Event::InitDone), &mut known, &mut listed));
    assert_eq!(known, seen(&["west"]));
    let gone = Event::Delete(cluster("west"));
    assert!(follow(Ok(gone), &mut known, &mut listed));
    assert_eq!(known, Seen::new());
}

#[test]
fn a_list_that_lacks_a_cluster_is_believed() {
    let (mut known, mut listed) = (seen(&["mgmt", "west"]), Seen::new());
    follow(Ok(Event::Init), &mut known, &mut listed);
    follow(
        Ok(Event::InitApply(cluster("mgmt"))),
        &mut known,
        &mut listed,
    );
    assert!(follow(Ok(Event::InitDone), &mut known, &mut listed));
    assert_eq!(known, seen(&["mgmt"]));
}

/// Whether the stream of west is told to end, and why.
fn end_of_west(shared: &Shared) -> Option<Code> {
    let west = "west".parse().unwrap();
    shared.channels(&west, |channels| {
        channels.end.borrow().as_ref().map(Refused::code)
    })
}

/// A server that an agent of west is connected to.
fn connected(west: &ClusterName) -> Shared {
    let mut state = State::new("mgmt".parse().unwrap(), true);
    state.register(west, None);
    state.clusters.get_mut(west).unwrap().connection = Some(Connection {
        stream: 1,
        epoch: 0,
        cluster_uid: "u-1".to_owned(),
        warmed: true,
        since: Timestamp::UNIX_EPOCH,
    });
    Shared::new(state, "server".to_owned())
}

#[test]
fn a_stream_ends_once_its_name_is_registered_for_somebody_else() {
    let west: ClusterName = "west".parse().unwrap();
    let record = |uid: Option<&str>| TokenRecord {
        cluster: west.to_string(),
        sha256: String::new(),
        expires: Timestamp::UNIX_EPOCH,
        epoch: 0,
        cluster_uid: uid.map(str::to_owned),
        used_by: None,
    };
    for (uid, ends) in [
        (Some("u-1"), None),
        (Some("u-2"), Some(Code::Revoked)),
        (None, Some(Code::Revoked)),
    ] {
        let shared = connected(&west);
        let records = [(west.to_string(), record(uid))].into();
        register(&shared, &records, &seen(&["mgmt", "west"]));
        assert_eq!(end_of_west(&shared), ends, "{uid:?}");
    }
}

#[test]
fn a_stream_that_was_let_in_while_its_cluster_was_deleted_ends_at_the_next_look() {
    let west: ClusterName = "west".parse().unwrap();
    let shared = connected(&west);
    register(&shared, &BTreeMap::new(), &seen(&["mgmt", "west"]));
    assert_eq!(end_of_west(&shared), None);
    shared.state().register(&west, None);
    register(&shared, &BTreeMap::new(), &seen(&["mgmt"]));
    assert_eq!(end_of_west(&shared), Some(Code::UnknownCluster));
}

#[test]
fn a_cluster_without_room_is_told_so_in_its_status_until_something_of_it_is_taken() {
    let west: ClusterName = "west".parse().unwrap();
    let shared = connected(&west).within(Some(16 << 20));
    register(&shared, &BTreeMap::new(), &seen(&["mgmt", "west"]));
    let mut incoming = Incoming::seated(
        Limits::default(),
        Seat::new(shared.room.clone(), west.clone()),
    );
    let mut say = |epoch: u64, mebibytes: usize| -> KubernetesClusterStatus {
        let mut source = Source::default();
        for number in 0..mebibytes {
            let name = format!("s{number}");
            let key = ObjectKey::new("v1", "Pod", "shop", &name).unwrap();
            source.set(key, Bytes::from(vec![b'x'; 1 << 20]));
        }
        let mut outgoing = Outgoing::new(epoch);
        while let Some(frame) = outgoing.next(&source).unwrap() {
            if incoming.take(&frame).is_err() {
                break;
            }
            outgoing.acked(&incoming.ack());
        }
        let before = KubernetesClusterStatus::default();
        let full = shared.room.refused(&west);
        status(
            &shared.state().clusters[&west],
            &before,
            None,
            full,
            "server",
        )
    };
    let verdict = say(1, 4).common.state;
    assert_eq!(verdict.approval, Approval::Warning);
    let words = "cluster west would take more than 2 MiB";
    assert!(verdict.message.contains(words), "{}", verdict.message);
    assert_eq!(say(2, 1).common.state.message, "");
}
