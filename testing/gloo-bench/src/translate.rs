//! What a fleet costs from scratch, and one change of it, at 10, 100 and 1,000 workspaces. `./dev bench translate` runs it.

use std::time::{Duration, Instant};

use gloo_translate::{
    testing::fleet::{fleet, place, slot},
    world::{Labels, Object},
};

/// Changes of which the middle one counts.
const CHANGES: usize = 51;

fn main() {
    println!(
        "{:>10} {:>9} {:>14} {:>14} {:>16}",
        "workspaces", "policies", "from scratch", "one change", "work of a change"
    );
    for workspaces in [10, 100, 1000] {
        measure(workspaces);
    }
}

fn measure(workspaces: usize) {
    let mut translator = fleet(workspaces);
    let started = Instant::now();
    translator.settle();
    let scratch = started.elapsed();
    let policies = translator.rules().count();
    let before = translator.work();
    let mut times: Vec<Duration> = (0..CHANGES)
        .map(|number| {
            let home = slot("west", format!("team-{}", number % workspaces));
            let started = Instant::now();
            let account = Object::Account(Labels::new());
            translator.put(&place(&home, &format!("new-{number}")), account);
            translator.settle();
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    let after = translator.work();
    let work =
        after.checks + after.renders + after.rules - before.checks - before.renders - before.rules;
    println!(
        "{workspaces:>10} {policies:>9} {:>11.2} ms {:>11.3} ms {:>16}",
        scratch.as_secs_f64() * 1000.0,
        times[CHANGES / 2].as_secs_f64() * 1000.0,
        work / CHANGES
    );
}
