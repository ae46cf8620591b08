//! Observe, validate, render, plan, apply, status: the steps, one after the other.

use std::collections::BTreeMap;

use gloonet_api::{GlooNetwork, GlooNetworkSpec, GlooNetworkStatus, unknown::unknown_fields};
use gloonet_catalog::{ComponentId, Input, Refusal, ReleaseLock, catalog, standing, validate};
use gloonet_cluster::{
    EventKind, Fault, Source,
    hands::Done,
    inventory,
    observe::{self, Listed},
    secrets, sight,
};
use gloonet_plan::{
    Desired, Live, ObjectKey, Paused, Plan, Rendered, Report, Situation, in_use, lint, news::news,
    plan, progress::Outcome, render, status,
};
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::Value;
use tokio::time::Instant;

use crate::{controller::Controller, listed::ListedAt, schedule::Next};

/// Watches get this long to show their first list before work goes on without them.
const BLIND: SignedDuration = SignedDuration::from_secs(15);
/// The watch that shows a write sets the next turn off; this is for one that never does.
const UNSEEN: SignedDuration = SignedDuration::from_secs(2);
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl Controller {
    /// One turn. `trigger` is what set it off, in words for `status.lastReconcile`.
    pub(crate) async fn reconcile(&mut self, trigger: &str, began: Instant) -> Result<Next, Fault> {
        let now = now();
        let Some(platform) = self.eyes.read(observe::platform) else {
            self.probes.clear();
            return Ok(Next {
                settled: true,
                ..Next::default()
            });
        };
        if platform.metadata.deletion_timestamp.is_some() {
            return self.uninstall(&platform, now).await;
        }
        let look_again = Next {
            wake: Some(now + SignedDuration::from_secs(1)),
            ..Next::default()
        };
        if self.is_blind(&Rendered::default(), now) {
            return Ok(look_again);
        }
        self.cluster.hold(&platform, true).await?;
        let refusals = self.accept(&platform, now).await?;
        let rendered = self.render();
        if self.is_blind(&rendered, now) {
            return Ok(look_again);
        }
        let live = self.hands.current(self.eyes.read(observe::live), now);
        self.hands.adopt(rendered.owners(), &live);
        self.measure_first(&rendered).await;
        let paused = Paused::of(platform.spec.pause.as_ref(), now);
        let rows = self.previous(&platform).components;
        let desired = self.desire(&rendered, &paused, now).after(&rows, now);
        let (plan, done) = self.act(&desired, &live, now).await;
        let stored = self.hands.store().await;
        let told = Told {
            platform: &platform,
            refusals: &refusals,
            desired: &desired,
            plan: &plan,
            done: &done,
            paused: &paused,
            trigger,
            began,
            now,
        };
        let next = self.tell(&told).await?;
        stored.map(|()| next)
    }

    /// Validates the specification; a refused one leaves the last accepted one in force.
    async fn accept(
        &mut self,
        platform: &GlooNetwork,
        now: Timestamp,
    ) -> Result<Vec<Refusal>, Fault> {
        let listed = self.list(platform, now).await?;
        let api_server = self.api_server.clone();
        let facts = self
            .eyes
            .read(|seen| observe::facts(seen, &listed, platform, api_server));
        let held = self.eyes.read(observe::cilium_nodes);
        let judged = validate(&platform.spec, &facts).and_then(|input| in_use::check(input, &held));
        if let Some(listed) = &mut self.listed {
            listed.refused = judged.is_err();
        }
        match judged {
            Ok(input) => {
                self.accepted = Some(input);
                Ok(Vec::new())
            }
            Err(refusals) => {
                let last = self.accepted.take().map(|input| input.spec);
                self.accepted = last
                    .or_else(|| computed(platform))
                    .and_then(|spec| standing(&spec, &platform.spec, &facts));
                Ok(refusals)
            }
        }
    }

    /// What is read by list, anew when it is not to be believed any more.
    async fn list(&mut self, platform: &GlooNetwork, now: Timestamp) -> Result<Listed, Fault> {
        let generation = platform.metadata.generation.unwrap_or_default();
        if let Some(known) = &self.listed
            && !known.is_stale(generation, now)
        {
            return Ok(known.listed.clone());
        }
        let listed = match (self.cluster.list().await, &mut self.listed) {
            (Ok(listed), _) => listed,
            // The rest of the turn is worth more than a fresh list.
            (Err(fault), Some(known)) if known.generation == generation => {
                let error = gloonet_daemon::error::chain(&fault);
                tracing::warn!(error, "what was listed before is believed");
                known.at = now;
                return Ok(known.listed.clone());
            }
            (Err(fault), _) => return Err(fault),
        };
        self.listed = Some(ListedAt {
            generation,
            at: now,
            refused: false,
            listed: listed.clone(),
        });
        Ok(listed)
    }

    /// What the accepted input renders to; nothing without one.
    fn render(&mut self) -> Rendered {
        let Some(input) = &self.accepted else {
            return Rendered::default();
        };
        if self.rendered.as_ref().is_none_or(|(last, _)| last != input) {
            self.rendered = Some((input.clone(), render::render(input)));
        }
        self.rendered
            .as_ref()
            .map(|(_, rendered)| rendered.clone())
            .unwrap_or_default()
    }

    /// Starts every watch that is needed; true while one of them has not shown its first list.
    fn is_blind(&mut self, rendered: &Rendered, now: Timestamp) -> bool {
        self.follow_always();
        let keys = rendered
            .objects()
            .map(|(_, object)| &object.key)
            .chain(self.hands.inventory().entries.keys());
        let secrets = rendered.secrets();
        let secrets = secrets
            .iter()
            .map(|spec| Source::secret(&spec.namespace, &spec.name));
        // A kind that the API server does not know yet cannot be read, and would count as unread.
        let unknown = self
            .eyes
            .read(|seen| observe::unestablished(seen, rendered.definitions()));
        keys.filter(|key| {
            !unknown
                .iter()
                .any(|(group, kind)| *group == key.group && *kind == key.kind)
        })
        .map(Source::of)
        .chain(secrets)
        .for_each(|source| self.eyes.follow(source));
        if self
            .eyes
            .read(|seen| observe::is_established(seen, "ciliumnodes.cilium.io"))
        {
            self.eyes.follow(Source::CiliumNodes);
        }
        let unread: Vec<String> = self
            .eyes
            .read(|seen| seen.unread().map(ToString::to_string).collect());
        if unread.is_empty() {
            self.blind_since = None;
            return false;
        }
        let since = *self.blind_since.get_or_insert(now);
        if now.duration_since(since) < BLIND {
            return true;
        }
        tracing::warn!(
            sources = unread.join(", "),
            "not readable; going on without"
        );
        false
    }

    /// Measures once before the first judgement, so that a restart of the operator does not look like a rollout of everything.
    async fn measure_first(&mut self, rendered: &Rendered) {
        if let (true, Some(input)) = (self.results.is_empty(), &self.accepted) {
            self.probes = probes(input, rendered);
            self.results = self.measure_now().await;
        }
    }

    /// Joins what was rendered with what is there.
    fn desire(&mut self, rendered: &Rendered, paused: &Paused, now: Timestamp) -> Desired {
        let Some(input) = &self.accepted else {
            return Desired::default();
        };
        let needed = self
            .eyes
            .read(|seen| secrets::judge(seen, rendered.secrets(), now));
        let base = self.eyes.read(|seen| observe::observed(seen, &needed));
        self.probes = probes(input, rendered);
        let (results, earlier) = (&self.results, &self.earlier);
        let inventory = self.hands.inventory();
        let uid = |key: &ObjectKey| inventory.entries.get(key).map(|entry| entry.uid.clone());
        let eyes = &self.eyes;
        render::desired(rendered, input, &needed, paused, uid, |id| {
            if let Some(unread) = eyes.read(|seen| sight::unread(seen, rendered, id)) {
                return Err(unread);
            }
            let mut observed = base.clone();
            observed.probes = results.get(&id).cloned().unwrap_or_default();
            observed.earlier = earlier.get(&id).cloned().unwrap_or_default();
            Ok(observed)
        })
    }

    /// Plans, has the plan checked, and runs it.
    async fn act(&mut self, desired: &Desired, live: &Live, now: Timestamp) -> (Plan, Done) {
        let plan = match plan(desired, live, self.hands.inventory()) {
            Ok(plan) => plan,
            Err(circle) => {
                tracing::error!(%circle, "no plan");
                return (
                    Plan::default(),
                    Done {
                        retry: true,
                        ..Done::default()
                    },
                );
            }
        };
        if let Err(fault) = lint::lint(&plan.steps, desired, live, self.hands.inventory()) {
            tracing::error!(%fault, "the plan is refused");
            return (
                Plan::default(),
                Done {
                    retry: true,
                    ..Done::default()
                },
            );
        }
        let done = self.hands.run(&plan.steps, live, now).await;
        self.metrics.wrote(&done.results);
        (plan, done)
    }

    /// Stores the status if it says something new, and sends what is worth an Event.
    async fn tell(&mut self, told: &Told<'_>) -> Result<Next, Fault> {
        let previous = self.previous(told.platform);
        let report = self.report(&previous, told);
        self.metrics.told(&report.status);
        if report.status != previous {
            self.cluster.store_status(&report.status).await?;
            self.stored = Some(report.status.clone());
        }
        self.announce(told, &previous, &report).await;
        let fresh = told.done.outcomes.values().any(Outcome::is_fresh);
        let wakes = [
            report.wake,
            self.listed.as_ref().and_then(ListedAt::wake),
            fresh.then(|| told.now + UNSEEN),
            self.hands.next_try(told.now),
            told.platform.spec.pause.as_ref().map(|pause| pause.until.0),
        ];
        let healthy = report
            .status
            .components
            .iter()
            .all(|row| row.health == gloonet_api::status::ComponentHealth::Healthy);
        Ok(Next {
            settled: healthy && !told.done.retry,
            retry: told.done.retry,
            failed: false,
            wake: wakes
                .into_iter()
                .flatten()
                .filter(|at| *at > told.now)
                .min(),
        })
    }

    /// The stored status; the own last write counts while the watch has not shown it.
    pub(crate) fn previous(&self, platform: &GlooNetwork) -> GlooNetworkStatus {
        self.stored
            .clone()
            .or_else(|| platform.status.clone())
            .unwrap_or_default()
    }

    fn report(&self, previous: &GlooNetworkStatus, told: &Told<'_>) -> Report {
        let unknown = sent(told.platform)
            .map(|manifest| unknown_fields(&manifest))
            .unwrap_or_default();
        let millis = u64::try_from(told.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        status(&Situation {
            previous,
            generation: told.platform.metadata.generation,
            input: self.accepted.as_ref(),
            refusals: told.refusals,
            unknown_fields: &unknown,
            desired: told.desired,
            plan: told.plan,
            outcomes: &told.done.outcomes,
            retry: told.done.retry,
            fights: self.hands.fights().sentences(),
            inventory: self.hands.inventory(),
            inventory_name: (gloonet_api::OPERATOR_NAMESPACE, inventory::NAME),
            versions: &versions(),
            paused: told.paused.in_force.clone(),
            expired_pause: told.paused.expired.clone(),
            trigger: told.trigger,
            millis,
            now: told.now,
        })
    }

    async fn announce(&self, told: &Told<'_>, previous: &GlooNetworkStatus, report: &Report) {
        for note in &told.done.corrections {
            self.events
                .say(
                    told.platform,
                    EventKind::Normal,
                    "DriftCorrected",
                    "Apply",
                    note,
                )
                .await;
        }
        if !told.done.pruned.is_empty() {
            let names: Vec<String> = told.done.pruned.iter().map(ObjectKey::to_string).collect();
            let note = format!("not wanted any more: {}", names.join(", "));
            self.events
                .say(told.platform, EventKind::Normal, "Pruned", "Delete", &note)
                .await;
        }
        for item in news(previous, &report.status) {
            let kind = if item.warning {
                EventKind::Warning
            } else {
                EventKind::Normal
            };
            self.events
                .say(told.platform, kind, item.reason, "Reconcile", &item.note)
                .await;
        }
    }
}

/// One finished turn.
struct Told<'a> {
    platform: &'a GlooNetwork,
    refusals: &'a [Refusal],
    desired: &'a Desired,
    plan: &'a Plan,
    done: &'a Done,
    paused: &'a Paused,
    trigger: &'a str,
    began: Instant,
    now: Timestamp,
}

/// Whole seconds, as the API server stores them.
fn now() -> Timestamp {
    Timestamp::now().round(Unit::Second).unwrap_or_default()
}

/// The manifest as the user sent it, when the client left it behind.
fn sent(platform: &GlooNetwork) -> Option<Value> {
    let text = platform.metadata.annotations.as_ref()?.get(LAST_APPLIED)?;
    serde_json::from_str(text).ok()
}

/// What was accepted before this process began.
fn computed(platform: &GlooNetwork) -> Option<GlooNetworkSpec> {
    let computed = platform.status.as_ref()?.computed.clone()?;
    serde_json::from_value(computed).ok()
}

fn probes(input: &Input, rendered: &Rendered) -> Vec<(ComponentId, gloonet_catalog::Probe)> {
    let wanted: Vec<ComponentId> = rendered.wanted().map(|(id, _)| id).collect();
    let components = catalog()
        .into_iter()
        .filter(|component| wanted.contains(&component.id()));
    components
        .flat_map(|component| {
            component
                .probes(input)
                .into_iter()
                .map(move |probe| (component.id(), probe))
        })
        .collect()
}

fn versions() -> BTreeMap<ComponentId, String> {
    let lock = ReleaseLock::embedded().ok();
    let version = |id: ComponentId| lock.as_ref()?.component_version(id).map(str::to_owned);
    ComponentId::ALL
        .into_iter()
        .filter_map(|id| Some((id, version(id)?)))
        .collect()
}
