//! What a fleet costs from scratch, and one change of it: a change is to cost what it touches, not the whole.

use std::time::{Duration, Instant};

use gloo_translate::{
    testing::fleet::{fleet, place, slot},
    world::{Labels, Object},
};

/// Changes of which the middle one counts.
const CHANGES: usize = 51;
const SIZES: [usize; 3] = [10, 100, 1000];

/// One line of the table.
struct Row {
    policies: usize,
    scratch: Duration,
    change: Duration,
    /// Namespaces checked, workspaces computed and rules written for a change.
    work: usize,
}

pub(crate) fn run() {
    println!(
        "translate: a workspace over 2 clusters, 8 services, isolation, one partner; a change is one new account"
    );
    println!(
        "{:>10} {:>9} {:>14} {:>14} {:>16} {:>15}",
        "workspaces",
        "policies",
        "from scratch",
        "one change",
        "work of a change",
        "whole : change"
    );
    let rows: Vec<Row> = SIZES.into_iter().map(measure).collect();
    for (workspaces, row) in SIZES.iter().zip(&rows) {
        println!(
            "{workspaces:>10} {:>9} {:>11.2} ms {:>11.3} ms {:>16} {:>15.0}",
            row.policies,
            milliseconds(row.scratch),
            milliseconds(row.change),
            row.work,
            row.scratch.as_secs_f64() / row.change.as_secs_f64(),
        );
    }
    if let (Some(small), Some(large)) = (rows.first(), rows.last()) {
        println!(
            "growth from {} to {} workspaces: from scratch {:.1}x, one change {:.2}x (aim: a change does not grow)",
            SIZES[0],
            SIZES[2],
            large.scratch.as_secs_f64() / small.scratch.as_secs_f64(),
            large.change.as_secs_f64() / small.change.as_secs_f64(),
        );
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn measure(workspaces: usize) -> Row {
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
    Row {
        policies,
        scratch,
        change: times[CHANGES / 2],
        work: work / CHANGES,
    }
}
