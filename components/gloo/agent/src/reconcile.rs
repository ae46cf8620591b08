//! Read, decide, write: makes the cluster what is desired, within the plan's limits.

mod write;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use gloo_relay::{
    client::{Local, State, Status},
    key::ObjectKey,
    proto::Results,
    table::Objects,
};
use kube::Client;
use tokio::{
    sync::{Mutex, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    control::Control,
    memory::{Memory, Seen, Stream, may_write},
    observed::Observed,
    plan::{Plan, Write},
};
use write::perform;

/// Writes under way at once.
const WRITES: usize = 8;
/// Changes of policies come in groups; one look is for all of them.
const SETTLE: Duration = Duration::from_millis(300);
/// When what failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// What the last turn led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub desired: usize,
    pub errors: usize,
    /// Removals held back, and the digest that confirms them.
    pub held: Option<(usize, String)>,
    pub kill_switch: bool,
    pub writes: u64,
}

/// The only writer of desired objects.
pub struct Reconciler {
    client: Client,
    cluster: String,
    observed: Arc<Observed>,
    control: watch::Receiver<Option<Control>>,
    results: watch::Sender<Results>,
    report: watch::Sender<Report>,
    memory: Mutex<Memory>,
    stream: Stream,
    /// What the budget's clock counts from.
    started: Instant,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reconciler")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl Local for Reconciler {
    async fn desired(&self, objects: Objects) {
        let mut memory = self.memory.lock().await;
        memory.desire(objects);
        self.stream.heard();
        self.turn(&mut memory).await;
    }

    fn opened(&self) {
        self.stream.opened(self.results.borrow().turn);
    }

    async fn settled(&self, turn: u64) {
        let mut memory = self.memory.lock().await;
        self.remove(&mut memory, turn).await;
    }
}

impl Reconciler {
    pub fn new(
        client: Client,
        cluster: &str,
        observed: Arc<Observed>,
        control: watch::Receiver<Option<Control>>,
    ) -> Self {
        Self {
            client,
            cluster: cluster.to_owned(),
            observed,
            control,
            results: watch::Sender::new(Results::default()),
            report: watch::Sender::new(Report::default()),
            memory: Mutex::default(),
            stream: Stream::default(),
            started: Instant::now(),
        }
    }

    /// What became of the desired objects, for the server.
    pub fn results(&self) -> watch::Receiver<Results> {
        self.results.subscribe()
    }

    pub fn report(&self) -> watch::Receiver<Report> {
        self.report.subscribe()
    }

    /// Repairs what others change, obeys the switch, tries again what failed. Whoever is fenced or refused writes nothing.
    pub async fn watch(&self, mut status: watch::Receiver<Status>, closing: CancellationToken) {
        let mut policies = self.observed.policies_changed();
        let mut control = self.control.clone();
        while !closing.is_cancelled() {
            let state = status.borrow_and_update().state;
            let may = may_write(state);
            if state != State::Connected {
                self.stream.left();
            }
            let turn = async {
                if may {
                    let mut memory = self.memory.lock().await;
                    self.turn(&mut memory).await;
                }
                let wait = if self.report.borrow().errors > 0 {
                    AGAIN
                } else {
                    4 * AGAIN
                };
                tokio::select! {
                    Ok(()) = policies.changed() => sleep(SETTLE).await,
                    Ok(()) = control.changed() => {}
                    () = sleep(wait) => {}
                }
            };
            tokio::select! {
                () = closing.cancelled() => return,
                () = turn => {}
                // A turn that may not go on is dropped where it is.
                () = left(&mut status, state) => {}
            }
        }
    }

    async fn turn(&self, memory: &mut Memory) {
        // Before the first list nothing is known of what the cluster has.
        if self.observed.source().borrow().is_none() {
            return;
        }
        let control = self.control.borrow().clone();
        let seen = Seen {
            cluster: &self.cluster,
            policies: &self.observed.policies(),
            control: control.as_ref(),
            stream: &self.stream,
        };
        let mut plan = memory.turn(&seen, self.started.elapsed());
        let (writes, errors) = self.write(memory, &plan.writes).await;
        plan.errors.extend(errors);
        self.tell(
            memory,
            memory.results(&plan, control.as_ref()),
            &plan,
            writes,
        );
    }

    /// The API server refuses to remove what somebody wrote to since it was decided.
    async fn remove(&self, memory: &mut Memory, turn: u64) {
        let control = self.control.borrow().clone();
        let pending = memory.settled(turn, &self.stream, control.as_ref());
        if pending.is_empty() {
            return;
        }
        let (writes, errors) = self.write(memory, &pending).await;
        memory.removed();
        self.report.send_modify(|report| {
            report.writes += writes;
            report.errors += errors.len();
        });
    }

    async fn write(
        &self,
        memory: &mut Memory,
        writes: &[Write],
    ) -> (u64, BTreeMap<ObjectKey, String>) {
        let mut errors = BTreeMap::new();
        let mut done = futures::stream::iter(writes.to_vec())
            .map(|write| {
                let client = self.client.clone();
                async move {
                    let result = perform(&client, &write).await;
                    (write, result)
                }
            })
            .buffer_unordered(WRITES);
        let mut writes = 0;
        while let Some((write, result)) = done.next().await {
            match result {
                Ok(done) => writes += u64::from(memory.done(&write, done)),
                Err(error) => {
                    let key = write.key();
                    tracing::warn!(object = %key, reason = error, "a desired object is not as it should be");
                    errors.insert(key.clone(), error);
                }
            }
        }
        (writes, errors)
    }

    fn tell(&self, memory: &Memory, now: Results, plan: &Plan, writes: u64) {
        let held = plan
            .held
            .map(|(removed, digest)| (removed, digest.to_string()));
        self.report.send_modify(|report| {
            if report.held != held
                && let Some((removed, digest)) = &held
            {
                tracing::error!(
                    removed,
                    digest,
                    "the server wants more removed than may be at once; put the digest into confirmRemoval of gloo-mesh-agent-control to let it"
                );
            }
            *report = Report {
                desired: memory.desired().map_or(0, Objects::len),
                errors: plan.errors.len(),
                held,
                kill_switch: now.kill_switch,
                writes: report.writes + writes,
            };
        });
        self.results.send_if_modified(|results| {
            let changed = *results != now;
            *results = now;
            changed
        });
    }
}

/// Waits until the state is another one.
async fn left(status: &mut watch::Receiver<Status>, state: State) {
    if status
        .wait_for(|status| status.state != state)
        .await
        .is_err()
    {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
