//! A pod that three hundred policies select: they mean together what each of them says, and one of them goes alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cilium_policy::{
    Options, Repository, SubjectId, Verdict,
    fault::Fault,
    testing::{Packet, Scene, kernel, many, reference},
};

const POLICIES: u16 = 300;
const POD: SubjectId = SubjectId(0);

fn fed(scene: &Scene, mut repository: Repository) -> Repository {
    scene.feed(&mut repository);
    assert!(repository.commit().refused.is_empty());
    repository
}

fn passes(repository: &Repository, packet: &Packet) -> bool {
    let state = repository.state(POD).unwrap();
    kernel::judge(state, repository.prefixes(), packet) == Verdict::Allow
}

/// How many packets about these policies pass and how many do not, if both judges say the same of each.
fn compared(
    scene: &Scene,
    repository: &Repository,
    about: impl IntoIterator<Item = u16>,
) -> Result<[usize; 2], Packet> {
    let mut counted = [0; 2];
    for packet in about.into_iter().flat_map(many::packets) {
        let passes = passes(repository, &packet);
        if passes != reference::allows(scene, &packet) {
            return Err(packet);
        }
        counted[usize::from(!passes)] += 1;
    }
    Ok(counted)
}

#[test]
fn three_hundred_policies_of_all_kinds_for_one_pod_mean_what_each_of_them_says() {
    let scene = many::scene(0..POLICIES);
    let repository = fed(&scene, Repository::new(Options::default()));
    for id in scene.policies.keys() {
        assert_eq!(repository.refusals(id), [], "{id}");
    }
    assert_eq!(repository.policies_of(POD).len(), usize::from(POLICIES));
    // The reference takes its time; every fifth is of every kind and way.
    let [passed, dropped] = compared(&scene, &repository, (0..POLICIES).step_by(5)).unwrap();
    assert!(passed > 40 && dropped > 200, "{passed} {dropped}");
}

#[test]
fn what_the_comparison_compares_is_worth_it() {
    let scene = many::scene(0..POLICIES);
    for fault in [
        Fault::NarrowAllowBeatsDeny,
        Fault::AllowBeatsDeny,
        Fault::ExceptForgotten,
    ] {
        let wrong = fed(&scene, Repository::with_fault(Options::default(), fault));
        assert!(compared(&scene, &wrong, 0..POLICIES).is_err(), "{fault:?}");
    }
}

#[test]
fn one_of_three_hundred_policies_goes_and_takes_nothing_along_but_its_own() {
    for gone in [9, 49, 130] {
        let mut repository = fed(
            &many::scene(0..POLICIES),
            Repository::new(Options::default()),
        );
        let left = many::scene((0..POLICIES).filter(|number| *number != gone));
        repository.remove_policy(&many::policy(gone).0);
        repository.commit();
        let around = gone - 4..=gone + 4;
        compared(&left, &repository, around.clone()).unwrap();
        let never = fed(&left, Repository::new(Options::default()));
        let about = around.flat_map(many::packets);
        let differs = |packet: &Packet| passes(&never, packet) != passes(&repository, packet);
        assert_eq!(about.into_iter().find(differs), None);
        let entries = |repository: &Repository| repository.state(POD).unwrap().len();
        assert_eq!(entries(&repository), entries(&never), "without {gone}");
    }
}
