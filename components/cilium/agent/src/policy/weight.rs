//! What 10,000 identities and 200 policies weigh in an agent with 100 pods; printed, not judged: run with
//! `--ignored --nocapture`, and with `MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=262144` as in the DaemonSet.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cilium_policy::testing::crowd;
use cilium_policy::{PolicyId, Subject};
use datapath::Fake;
use kube::runtime::watcher::Event;

use super::{Policies, Surroundings};
use crate::identity::Identities;
use crate::kubernetes::{Readers, Watched};
use crate::store::Store;

const IDENTITIES: u32 = 10_000;
const POLICIES: u32 = 200;
const PODS: u32 = 100;

#[test]
#[ignore = "a measurement"]
fn ten_thousand_identities_and_two_hundred_policies() {
    let begin = resident();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let policies = Policies::new(Arc::new(Fake::new()), store, 16_384).unwrap();
    let watched = Watched::new(&Readers::default());
    for number in 0..PODS {
        let identity = crowd::identity(number * 7);
        let subject = Subject {
            identity,
            ..Subject::default()
        };
        policies.admit(&subject).unwrap();
    }
    for number in 0..POLICIES {
        tell(&watched, crowd::policy(number, 80).1);
    }
    for number in 0..IDENTITIES {
        let id = cilium_api::NumericIdentity(crowd::identity(number));
        let object = cilium_api::CiliumIdentity::new(id, crowd::labels(number));
        let guarded = serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap();
        watched.identities.take(Ok(Event::Apply(guarded)));
        if number % 100 == 0 {
            pass(&policies, &watched);
            let listed = watched.identities.list();
            let numbers = Identities::new(listed.iter().map(AsRef::as_ref));
            assert_eq!(numbers.len(), listed.len());
        }
    }
    let seen = resident();
    let mut times: Vec<Duration> = (0..20)
        .map(|round| {
            let (_, object): (PolicyId, _) = crowd::policy(round % 4, 81 + round);
            tell(&watched, object);
            pass(&policies, &watched)
        })
        .collect();
    times.sort_unstable();
    println!(
        "{} MB, after changes {} MB; a change: half {:?}, slowest {:?}",
        seen - begin,
        resident() - begin,
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

fn tell(watched: &Watched, object: serde_json::Value) {
    let guarded = serde_json::from_value(object).unwrap();
    watched.policies.take(Ok(Event::Apply(guarded)));
}

/// On a thread of its own, as in the agent.
fn pass(policies: &Policies, watched: &Watched) -> Duration {
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| {
            let begin = Instant::now();
            let pass = policies.pass(watched, &Surroundings::default());
            assert_eq!(pass.failures, Vec::<String>::new());
            begin.elapsed()
        });
        pass.join().unwrap()
    })
}

/// Megabytes of this process.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.unwrap().parse::<i64>().unwrap() / 1000
}
