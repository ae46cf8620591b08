//! Three judges, one verdict: what policies mean (the reference), what the resolver makes of them, and what the kernel
//! programs do with a packet once the agent has translated the resolver's maps. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod court;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use cilium_policy::fault::Fault;
use cilium_policy::testing::{Choose, Scene, choose, generate};
use cilium_policy::{Options, Repository};
use datapath::testing::Judge;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

/// Packets that are judged; `JUDGED_PACKETS` asks for another number.
fn wanted() -> u32 {
    std::env::var("JUDGED_PACKETS").map_or(20_000, |number| number.parse().unwrap())
}

fn cluster() -> impl Strategy<Value = Vec<u8>> {
    choose::bytes()
}

fn scene(bytes: Vec<u8>) -> Scene {
    generate::scene(&mut Choose::new(bytes))
}

#[test]
fn reference_resolver_and_kernel_say_the_same_of_every_packet() {
    let wanted = wanted();
    let judge = RefCell::new(Judge::new().unwrap());
    let (packets, scenes) = (Cell::new(0), Cell::new(0));
    let begin = Instant::now();
    let mut runner = TestRunner::new(Config {
        cases: wanted,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    });
    let result = runner.run(&cluster(), |bytes| {
        if packets.get() >= wanted {
            return Ok(());
        }
        let scene = scene(bytes);
        let mut repository = Repository::new(Options::default());
        let mut judge = judge.borrow_mut();
        let trial = court::hear(&mut judge, &scene, &mut repository, scenes.get());
        scenes.set(scenes.get() + 1);
        packets.set(packets.get() + trial.packets);
        trial.disagreement.map_or(Ok(()), |found| {
            Err(TestCaseError::fail(found.describe(&scene)))
        })
    });
    if let Err(TestError::Fail(what, _) | TestError::Abort(what)) = result {
        panic!("{what}");
    }
    let (packets, scenes) = (packets.get(), scenes.get());
    println!(
        "{packets} packets in {scenes} clusters with policies: three judges agree ({:.1} s)",
        begin.elapsed().as_secs_f64()
    );
    assert!(packets >= wanted);
}

/// The check can fail: each mistake, made on purpose in the resolver, is seen in what the kernel does.
#[test]
fn every_known_mistake_is_noticed_in_the_kernels_verdicts_within_ten_seconds() {
    let mut judge = Judge::new().unwrap();
    for fault in Fault::ALL {
        let begin = Instant::now();
        let found = notice(&mut judge, fault, begin + Duration::from_secs(10));
        assert!(found, "{fault:?} goes unnoticed");
        println!("{fault:?} noticed after {:?}", begin.elapsed());
    }
}

fn notice(judge: &mut Judge, fault: Fault, end: Instant) -> bool {
    let mut runner = TestRunner::deterministic();
    let mut number = 0;
    while Instant::now() < end {
        let bytes = cluster().new_tree(&mut runner).unwrap().current();
        let mut repository = Repository::with_fault(Options::default(), fault);
        let trial = court::hear(judge, &scene(bytes), &mut repository, number);
        if trial.disagreement.is_some() {
            return true;
        }
        number += 1;
    }
    false
}
