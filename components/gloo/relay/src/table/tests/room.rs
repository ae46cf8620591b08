//! What one cluster can make the server hold, and what is left of it for the others.

use std::sync::Arc;

use gloo_api::ClusterName;

use super::*;

const BUDGET: usize = 64 << 20;

fn room(clusters: usize) -> Arc<Room> {
    let room = Room::new(BUDGET, |_, bytes| bytes.len());
    room.divide(clusters);
    Arc::new(room)
}

fn name(number: usize) -> ClusterName {
    format!("cluster-{number}").parse().unwrap()
}

fn seat(room: &Arc<Room>, number: usize) -> Incoming {
    Incoming::seated(Limits::default(), Seat::new(room.clone(), name(number)))
}

fn snapshot(incoming: &mut Incoming, mebibytes: usize) -> Result<(), Refusal> {
    incoming.reopen();
    let source = source(mebibytes, 1 << 20);
    send(&mut Outgoing::new(1), &source, incoming).map(drop)
}

fn full(result: Result<(), Refusal>) -> Full {
    match result {
        Err(Refusal::Full { full }) => full,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_cluster_that_sends_without_end_takes_no_more_than_it_leaves_free_and_the_others_get_their_shares()
 {
    let room = room(4);
    let mut hog = seat(&room, 0);
    let refused = full(snapshot(&mut hog, 60));
    assert!(refused.may < BUDGET / 2, "{refused:?}");
    assert!(hog.objects().is_empty(), "nothing was held before");
    let most = refused.may >> 20;
    snapshot(&mut hog, most - 1).unwrap();
    for number in 1..4 {
        let share = (BUDGET / 2 / 4) >> 20;
        snapshot(&mut seat(&room, number), share - 1).unwrap();
    }
}

#[test]
fn several_that_send_without_end_leave_the_last_one_its_share() {
    let room = room(8);
    for number in 0..7 {
        let mut hog = seat(&room, number);
        let may = full(snapshot(&mut hog, 64)).may >> 20;
        snapshot(&mut hog, may - 1).unwrap();
    }
    let share = (BUDGET / 2 / 8) >> 20;
    snapshot(&mut seat(&room, 7), share - 1).unwrap();
    assert!(room.uses().values().map(|one| one.held).sum::<usize>() <= BUDGET);
}

#[test]
fn what_is_held_stays_when_more_is_refused_and_what_was_on_its_way_counts_no_more() {
    let room = room(2);
    let mut west = seat(&room, 0);
    let before = source(10, 1 << 20);
    send(&mut Outgoing::new(1), &before, &mut west).unwrap();
    let refused = full(snapshot(&mut west, 60));
    agree(&before, &west);
    let used = room.uses()[&name(0)].clone();
    assert!(used.held >= 10 << 20 && used.arriving == 0, "{used:?}");
    assert_eq!(used.refused, Some(refused.clone()));
    let said = refused.to_string();
    for word in [
        "cluster-0",
        "MiB",
        "stays in force",
        "resources.limits.memory",
    ] {
        assert!(said.contains(word), "{said}");
    }
    snapshot(&mut west, 9).unwrap();
    assert_eq!(room.refused(&name(0)), None);
    full(snapshot(&mut west, 60));
    room.keep(&name(0), west.objects());
    assert_eq!(room.refused(&name(0)), None, "another replica took it");
}

#[test]
fn a_snapshot_that_breaks_off_holds_no_room() {
    let room = room(2);
    let mut west = seat(&room, 0);
    let (mut outgoing, source) = (Outgoing::new(1), source(10, 1 << 20));
    for _ in 0..3 {
        let frame = outgoing.next(&source).unwrap().unwrap();
        west.take(&frame).unwrap();
    }
    assert!(room.uses()[&name(0)].arriving >= 2 << 20);
    west.reopen();
    assert_eq!(room.uses()[&name(0)].arriving, 0);
}

#[test]
fn an_agent_that_says_all_again_needs_no_room_twice() {
    let room = room(1);
    let mut west = seat(&room, 0);
    snapshot(&mut west, 30).unwrap();
    snapshot(&mut west, 30).unwrap();
    snapshot(&mut west, 31).unwrap();
}

/// Others came, and it has more than it may take now.
#[test]
fn who_holds_more_than_it_may_take_now_changes_and_removes_objects_and_adds_none() {
    let room = room(1);
    let mut west = seat(&room, 0);
    let mut source = source(30, 1 << 20);
    let mut outgoing = Outgoing::new(1);
    send(&mut outgoing, &source, &mut west).unwrap();
    room.divide(20);
    source.set(key(1), json("y".repeat(1 << 20)));
    source.remove(&key(2));
    send(&mut outgoing, &source, &mut west).unwrap();
    agree(&source, &west);
    let before = west.objects().clone();
    source.set(key("new"), json("z".repeat(2 << 20)));
    full(send(&mut outgoing, &source, &mut west).map(drop));
    assert_eq!(*west.objects(), before);
}

#[test]
fn many_small_changes_never_add_up_to_more_than_is_allowed() {
    let room = room(2);
    let mut west = seat(&room, 0);
    let mut source = source(1, 1 << 20);
    let mut outgoing = Outgoing::new(1);
    let refused = (0..100).find_map(|number| {
        source.set(key(format!("more{number}")), json("x".repeat(1 << 20)));
        send(&mut outgoing, &source, &mut west).err()
    });
    let may = full(Err(refused.unwrap())).may;
    assert!(room.uses()[&name(0)].held <= may);
}

#[test]
fn deleting_what_is_not_there_costs_room_too() {
    let room = Arc::new(Room::new(8 << 20, |_, bytes| bytes.len() + 1024));
    let mut west = seat(&room, 0);
    send(&mut Outgoing::new(1), &Source::default(), &mut west).unwrap();
    let deletes = |number: usize| {
        let keys = (0..1000).map(|n| key(format!("{number}-{n}")));
        let (changes, size) = pack(&Changes {
            upserts: Vec::new(),
            deletes: keys.collect(),
        })
        .unwrap();
        Frame {
            epoch: 1,
            sequence: number as u64 + 2,
            phase: Phase::DeltaPart.into(),
            changes,
            size,
            digest: Vec::new(),
        }
    };
    let refused = (0..100).find_map(|number| west.take(&deletes(number)).err());
    assert!(matches!(refused, Some(Refusal::Full { .. })), "{refused:?}");
}
