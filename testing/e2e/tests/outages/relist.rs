//! Test 55 of the security reference: our parts lose their watches, miss what happens, and are told that it is too late to
//! catch up. What went must be gone afterwards, and what stayed must never have been taken away.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use gloonet_e2e::{
    Scene, agent, objects,
    platform::{self, Made},
    policy::{dropped, open},
    stage::{HEARD, Stage, both},
    wait::{Progress, until},
};
use gloonet_lab::faults::{Effect, Match, Rule};
use kube::ResourceExt;

/// Parts of the names of our ServiceAccounts.
const OURS: [&str; 3] = [
    "serviceaccount:kube-system:cilium",
    "serviceaccount:gloonet-system:",
    "serviceaccount:gloo-mesh:",
];
/// Watches that are told to begin anew, for each of [`OURS`]: more than there are, so that most are told, and some twice.
const EXPIRED: u64 = 80;
/// Time in which what was missed is known: a client whose watches failed for a while waits longer between its tries.
const CAUGHT_UP: Duration = Duration::from_mins(1);
/// The server that comes while nobody of ours sees it.
const UNSEEN: &str = "web-unseen";

/// The same for every watch of ours.
fn on_watches(then: &Effect, times: Option<u64>) -> Vec<Rule> {
    let rule = |user: &str| {
        let when = Match {
            watch: Some(true),
            user: Some(user.to_owned()),
            ..Match::default()
        };
        Rule {
            times,
            ..Rule::always(when, then.clone())
        }
    };
    OURS.map(rule).to_vec()
}

/// Watches of each of [`OURS`] that met the fault in force.
fn hits(scene: &Scene) -> [u64; 3] {
    let rules = scene.lab.faults().tally().rules;
    [0, 1, 2].map(|place| rules.get(&place).map_or(0, |(_, hit)| *hit))
}

/// Waits until watches of each met the fault.
async fn met(scene: &Scene, what: &str) -> Result<()> {
    until(what, CAUGHT_UP, async || {
        let hits = hits(scene);
        let all = hits.iter().all(|hit| *hit > 0);
        Ok(Progress::when(all, format!("hits of {OURS:?}: {hits:?}")))
    })
    .await
}

/// A policy goes and another comes, a server goes and another comes, and with them what is behind the Service.
async fn change(stage: &Stage<'_>) -> Result<()> {
    let ground = stage.ground;
    ground.delete_policy("networkpolicy/only-clients")?;
    let closed = "{podSelector: {matchLabels: {app: stranger}}, policyTypes: [Ingress]}";
    ground.network_policy("no-strangers", closed)?;
    // On the other node: an agent that knows nothing of the pod lets it wait.
    ground.begin(UNSEEN, &stage.nodes[1]).await?;
    let pods = ground.pods();
    objects::delete_now(&pods, &pods.get(&stage.near.name).await?).await
}

/// Cuts all watches, lets everything happen unseen, and has the watches expire.
async fn miss(scene: &Scene, stage: &Stage<'_>) -> Result<()> {
    let faults = scene.lab.faults();
    faults.enable(true)?;
    // An API server that ends takes itself out of Service `kubernetes`, by which pods reach it. Agents must have heard that it is back
    // before they hear nothing more: until then nothing of those pods meets a fault.
    faults.set(on_watches(&Effect::Delay { milliseconds: 1 }, None))?;
    met(scene, "our watches are back").await?;
    faults.set(on_watches(&Effect::Hangup, None))?;
    faults.cut_watches()?;
    met(scene, "our watches are cut").await?;
    change(stage).await?;
    faults.set(on_watches(&Effect::Gone, Some(EXPIRED)))?;
    met(scene, "our watches are told that they have expired").await
}

/// What went is gone, what came is there.
async fn nothing_is_left(scene: &Scene, stage: &Stage<'_>) -> Result<()> {
    let ground = stage.ground;
    let unseen = ground.ready_within(UNSEEN, HEARD).await?;
    let table = [
        open(&stage.stranger, &stage.far),
        open(&stage.stranger, &unseen),
        dropped(&stage.client, &stage.stranger),
    ];
    until(
        "the policies are those that were missed",
        CAUGHT_UP,
        async || {
            ground.holds("strangers are let in now", &table).await?;
            Ok(Progress::Done(()))
        },
    )
    .await?;
    let near = &stage.near;
    until("the server that went is forgotten", CAUGHT_UP, async || {
        let mut knows = Vec::new();
        for node in scene.nodes().await? {
            if agent::knows(scene, &node, near.ip)? {
                knows.push(node);
            }
        }
        let endpoint = ["get", "cep", "--namespace", &ground.namespace, &near.name];
        let left = scene.kubectl(&[&endpoint[..], &["--ignore-not-found"]].concat())?;
        let how = format!("ipcache of {knows:?}, CiliumEndpoint {left:?}");
        Ok(Progress::when(knows.is_empty() && left.is_empty(), how))
    })
    .await?;
    served_by_the_others(stage).await
}

async fn served_by_the_others(stage: &Stage<'_>) -> Result<()> {
    let address = stage.service.to_string();
    let wanted = [stage.far.name.as_str(), UNSEEN];
    let what = format!("the Service is answered by {wanted:?} and nobody else");
    until(&what, CAUGHT_UP, async || {
        let mut seen = Vec::new();
        for _ in 0..12 {
            let asked = stage
                .ground
                .ask(&stage.client, "http", &address, 80, "hostname");
            seen.push(asked?);
        }
        seen.sort();
        seen.dedup();
        Ok(Progress::when(seen == wanted, format!("{seen:?}")))
    })
    .await
}

/// UIDs of what the operator made and keeps. A token for an agent to enrol with comes and goes.
async fn uids(scene: &Scene, made: &[Made]) -> Result<BTreeMap<String, Option<String>>> {
    let mut uids = BTreeMap::new();
    let kept = |object: &&Made| object.name != gloo_api::names::TOKEN;
    for object in made.iter().filter(kept) {
        let found = object.api(&scene.client).get_opt(&object.name).await;
        let found = found.with_context(|| format!("look at {object}"))?;
        uids.insert(object.to_string(), found.and_then(|found| found.uid()));
    }
    Ok(uids)
}

#[tokio::test]
async fn what_was_missed_while_watches_were_cut_and_expired_is_made_up_for_and_nothing_else_is_touched()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let made = platform::inventory(&scene).await?;
    let before = uids(&scene, &made).await?;
    Stage::during(&scene, "relist", async |stage| {
        let mut outcome = miss(&scene, stage).await;
        if outcome.is_ok() {
            outcome = nothing_is_left(&scene, stage).await;
        }
        let faults = scene.lab.faults();
        both(outcome, faults.enable(false).context("end the faults"))
    })
    .await?;
    platform::settled(&scene, platform::HEALED).await?;
    let after = uids(&scene, &made).await?;
    let replaced: Vec<_> = (before.iter())
        .filter(|(name, uid)| after.get(*name) != Some(uid))
        .collect();
    ensure!(
        replaced.is_empty(),
        "taken away, and perhaps made anew: {replaced:?}"
    );
    agent::carry_what_runs(&scene, &scene.nodes().await?).await
}
