//! T29: the maps answer every packet as the policies mean it, however they came about.

use cilium_policy::{
    Options, Repository, SubjectId, Verdict,
    testing::{Choose, Packet, Scene, choose, generate, kernel, reference},
};
use proptest::{prelude::*, test_runner::Config};

/// Scenes per property; each is some hundred packets. `POLICY_CASES` asks for more.
fn cases() -> Config {
    let asked = std::env::var("POLICY_CASES").ok().and_then(|n| n.parse().ok());
    Config {
        cases: asked.unwrap_or(400),
        failure_persistence: None,
        ..Config::default()
    }
}

/// The first packet both judges disagree about.
fn disagreement(scene: &Scene, repository: &Repository) -> Option<(Packet, bool)> {
    scene.packets().into_iter().find_map(|packet| {
        let subject = SubjectId(u32::try_from(packet.subject).unwrap());
        let state = repository.state(subject).unwrap();
        let passes = kernel::judge(state, repository.prefixes(), &packet) == Verdict::Allow;
        (passes != reference::allows(scene, &packet)).then_some((packet, passes))
    })
}

fn described(scene: &Scene, packet: &Packet, passes: bool) -> String {
    let policies: String = scene
        .policies
        .values()
        .map(|p| format!("---\n{}", serde_norway::to_string(p).unwrap()))
        .collect();
    let pods: Vec<_> = scene.pods.iter().map(|p| (p.identity, p.address, p.labels.canonical())).collect();
    format!("the maps {} what the policies do not: {packet:?}\n{pods:#?}\n{policies}", if passes { "let through" } else { "drop" })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_maps_pass_exactly_the_packets_the_policies_allow(bytes in choose::bytes()) {
        let scene = generate::scene(&mut Choose::new(bytes));
        let mut repository = Repository::new(Options::default());
        scene.feed(&mut repository);
        repository.commit();
        if let Some((packet, passes)) = disagreement(&scene, &repository) {
            prop_assert!(false, "{}", described(&scene, &packet, passes));
        }
    }
}
