//! How long resolving takes; run with `--release -- --nocapture` to read the numbers.

use std::{fs, time::Duration};

use cilium_policy::{
    Options, Repository, Subject, SubjectId,
    testing::{
        crowd::{identity, labels, policy},
        many, scene,
    },
};

const IDENTITIES: u32 = 10_000;
const POLICIES: u32 = 200;
const SUBJECTS: u32 = 100;

/// Time this thread was on a processor: what others do meanwhile does not count.
fn worked() -> Duration {
    let said = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let Some(nanoseconds) = said.split(' ').next().and_then(|first| first.parse().ok()) else {
        panic!("no time in {said:?}")
    };
    Duration::from_nanos(nanoseconds)
}

fn timed(what: &str, limit: Duration, work: impl FnOnce()) {
    let begin = worked();
    work();
    let took = worked().saturating_sub(begin);
    println!("{what}: {took:?} (at most {limit:?} in release)");
    // Debug builds, and machines others use too, only have to be in the right order of magnitude.
    let slack = if cfg!(debug_assertions) { 40 } else { 4 };
    assert!(took < limit * slack, "{what} took {took:?}");
}

#[test]
fn ten_thousand_identities_and_two_hundred_policies_are_resolved_in_a_second_and_a_change_in_ten_milliseconds()
 {
    let mut repository = Repository::new(Options::default());
    timed("from scratch", Duration::from_secs(1), || {
        for number in 0..IDENTITIES {
            repository.upsert_identity(identity(number), labels(number));
        }
        for number in 0..POLICIES {
            let (id, object) = policy(number, 80);
            scene::feed_policy(&mut repository, &id, &object);
        }
        for number in 0..SUBJECTS {
            let subject = Subject {
                identity: identity(number * 7),
                ..Subject::default()
            };
            repository.upsert_subject(SubjectId(number), subject);
        }
        repository.commit();
    });
    let entries: Vec<usize> = (0..SUBJECTS)
        .map(|n| repository.state(SubjectId(n)).unwrap().len())
        .collect();
    println!(
        "{} entries, at most {} in one map",
        entries.iter().sum::<usize>(),
        entries.iter().max().unwrap()
    );
    assert!(entries.iter().sum::<usize>() > 50_000);

    let change = Duration::from_millis(10);
    timed("an identity is added", change, || {
        repository.upsert_identity(60_000, labels(IDENTITIES));
        assert!(!repository.commit().subjects.is_empty());
    });
    timed("an identity is removed", change, || {
        repository.remove_identity(60_000);
        assert!(!repository.commit().subjects.is_empty());
    });
    let (id, object) = policy(0, 8080);
    timed("a policy is changed", change, || {
        scene::feed_policy(&mut repository, &id, &object);
        assert!(!repository.commit().subjects.is_empty());
    });
    timed("a policy is removed", change, || {
        repository.remove_policy(&id);
        assert!(!repository.commit().subjects.is_empty());
    });
    let (id, object) = policy(250, 80);
    timed("a policy with a new network is added", change, || {
        scene::feed_policy(&mut repository, &id, &object);
        assert!(!repository.commit().prefixes_added.is_empty());
    });
}

/// A quarter of what a map holds.
#[test]
fn three_hundred_policies_of_one_pod_need_a_quarter_of_its_map_and_a_change_of_one_ten_milliseconds()
 {
    let subject = SubjectId(0);
    let mut repository = Repository::new(Options::default());
    many::scene(0..300).feed(&mut repository);
    repository.commit();
    let entries = repository.state(subject).unwrap().len();
    println!(
        "{entries} entries, {} prefixes",
        repository.prefixes().len()
    );
    assert!((300..4096).contains(&entries), "{entries} entries");
    let (id, object) = many::policy(300);
    let change = Duration::from_millis(10);
    timed("a policy is added", change, || {
        scene::feed_policy(&mut repository, &id, &object);
        assert!(!repository.commit().subjects.is_empty());
    });
    timed("a policy is removed", change, || {
        repository.remove_policy(&id);
        assert!(!repository.commit().subjects.is_empty());
    });
    assert_eq!(repository.state(subject).unwrap().len(), entries);
}
