//! `./dev bench disrupt`: what running traffic notices of agents that are killed, upgraded and rolled back.
//!
//! The aim is nothing at all, so the last phase is one that must be noticed: agents that keep nothing of what they set up.

mod agents;
mod other_build;
mod programs;
mod respelling;
mod routes;

use std::time::Duration;

use anyhow::{Result, bail};

use self::agents::Fault;
use self::other_build::OtherBuild;
use self::routes::{Client, Routes};
use super::api;
use super::peer::steady::{Counted, Kind};
use crate::lab::Lab;

/// Traffic runs for a while before the first fault and after the last one.
const REST: Duration = Duration::from_secs(3);

/// Arguments of `./dev bench disrupt`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How often every agent is killed.
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// New connections a second, over all routes.
    #[arg(long, default_value_t = 200)]
    rate: u32,
}

/// What is done to the agents, and whether traffic may notice.
struct Phase {
    name: String,
    faults: Vec<Fault>,
    harmless: bool,
}

fn phases(kills: u32) -> Vec<Phase> {
    let phase = |name: &str, faults, harmless| Phase {
        name: name.to_owned(),
        faults,
        harmless,
    };
    let killed = (0..kills).map(|_| Fault::Kill).collect();
    vec![
        phase("left alone", Vec::new(), true),
        phase(&format!("killed {kills} times"), killed, true),
        phase("upgraded", vec![Fault::Upgrade], true),
        phase("rolled back", vec![Fault::RollBack], true),
        phase("keeping nothing", vec![Fault::KeepNothing], false),
    ]
}

/// Runs all phases and prints what failed in each; an error if any harmless one was noticed, or the harmful one was not.
pub fn run(arguments: &Arguments) -> Result<()> {
    api::on_cluster(async |lab, _| api::interruptible(on_cluster(lab, arguments)).await)
}

async fn on_cluster(lab: &Lab, arguments: &Arguments) -> Result<()> {
    let _other_build = OtherBuild::load(lab)?;
    let routes = Routes::make(lab)?;
    println!(
        "{:<18} {:<24} {:>18} {:>18} {:>18}   {:>22}",
        "agents are", "route", "old connection", "datagrams", "new connections", "longest wait, ms"
    );
    let mut wrong = Vec::new();
    for phase in phases(arguments.kills) {
        let counted = under(lab, &routes, &phase, arguments.rate).await?;
        wrong.extend(judge(&phase, &counted));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

async fn under(
    lab: &Lab,
    routes: &Routes<'_>,
    phase: &Phase,
    rate: u32,
) -> Result<Vec<(String, Counted)>> {
    let clients: Vec<Client> = routes.clients(rate)?;
    tokio::time::sleep(REST).await;
    // What was counted is read even if the agents could not be brought to what was wanted.
    let done: Result<()> = phase.faults.iter().try_for_each(|fault| fault.inflict(lab));
    tokio::time::sleep(REST).await;
    let mut counted = Vec::new();
    for client in clients {
        let (route, seen) = client.end()?;
        print(&phase.name, &route, &seen);
        counted.push((route, seen));
    }
    done.map(|()| counted)
}

fn print(phase: &str, route: &str, counted: &Counted) {
    let share = |kind: &Kind| format!("{} of {} lost", kind.failed, kind.tried);
    let kinds = [&counted.old, &counted.datagrams, &counted.new];
    let longest = kinds.map(|kind| kind.longest_ms.to_string()).join(", ");
    println!(
        "{phase:<18} {route:<24} {:>18} {:>18} {:>18}   {longest:>22}",
        share(kinds[0]),
        share(kinds[1]),
        share(kinds[2]),
    );
    for kind in kinds {
        if let Some(first) = &kind.first {
            println!("{:<18} {:<24}   first: {first}", "", "");
        }
    }
}

/// What is not as it should be, a sentence each.
fn judge(phase: &Phase, counted: &[(String, Counted)]) -> Vec<String> {
    let kinds = |counted: &Counted| {
        [
            ("requests over the old connection", counted.old.clone()),
            ("datagrams", counted.datagrams.clone()),
            ("new connections", counted.new.clone()),
        ]
    };
    let all = || {
        counted
            .iter()
            .flat_map(|(route, counted)| kinds(counted).map(|(what, kind)| (route, what, kind)))
    };
    let idle = all().filter(|(_, _, kind)| kind.tried == 0);
    let mut wrong: Vec<String> = idle
        .map(|(route, what, _)| format!("{}, {route}: no {what} were tried", phase.name))
        .collect();
    let noticed = all().filter(|(_, _, kind)| kind.failed > 0);
    if phase.harmless {
        wrong.extend(noticed.map(|(route, what, kind)| {
            format!("{}, {route}: {} {what} failed", phase.name, kind.failed)
        }));
    } else if noticed.count() == 0 {
        wrong.push(format!(
            "{}: nothing failed, so this measurement would not notice a fault",
            phase.name
        ));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(failed: u64) -> Vec<(String, Counted)> {
        let kind = |failed| Kind {
            tried: 100,
            failed,
            ..Kind::default()
        };
        let counted = Counted {
            old: kind(0),
            datagrams: kind(failed),
            new: kind(0),
        };
        vec![("pod to pod".to_owned(), counted)]
    }

    fn phase(harmless: bool) -> Phase {
        Phase {
            name: "killed".to_owned(),
            faults: Vec::new(),
            harmless,
        }
    }

    #[test]
    fn one_lost_datagram_is_a_fault_of_a_harmless_phase_and_the_proof_of_a_harmful_one() {
        assert_eq!(
            judge(&phase(true), &counted(1)),
            ["killed, pod to pod: 1 datagrams failed"]
        );
        assert!(judge(&phase(false), &counted(1)).is_empty());
        assert!(judge(&phase(true), &counted(0)).is_empty());
        assert_eq!(judge(&phase(false), &counted(0)).len(), 1);
    }

    #[test]
    fn traffic_that_never_ran_proves_nothing() {
        let idle = vec![("pod to pod".to_owned(), Counted::default())];
        assert_eq!(judge(&phase(true), &idle).len(), 3);
    }

    #[test]
    fn the_last_phase_is_the_one_that_must_be_noticed() {
        let phases = phases(10);
        assert_eq!(phases[1].faults.len(), 10);
        let harmful: Vec<bool> = phases.iter().map(|phase| !phase.harmless).collect();
        assert_eq!(harmful, [false, false, false, false, true]);
    }
}
