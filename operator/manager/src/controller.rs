//! The loop: a change, a probe or a clock sets off a reconcile.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gloonet_api::{CILIUM_NAMESPACE, GlooNetworkStatus, MESH_NAMESPACE, OPERATOR_NAMESPACE};
use gloonet_catalog::{ComponentId, Input, Probe, ProbeResult};
use gloonet_cluster::{Cluster, Events, Eyes, Hands, Prober, Source};
use gloonet_plan::Rendered;
use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Arguments,
    listed::ListedAt,
    metrics::Metrics,
    schedule::{Next, Schedule},
    serve::Pulse,
};

/// Changes come in bursts; one reconcile answers a whole burst.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// The loop turns at least this often, for the kubelet to see.
const TURN: Duration = Duration::from_secs(30);

pub(crate) type ProbeResults = BTreeMap<ComponentId, Vec<ProbeResult>>;

/// Everything the steps of a reconcile work with.
pub(crate) struct Controller {
    pub(crate) cluster: Cluster,
    pub(crate) eyes: Arc<Eyes>,
    pub(crate) hands: Hands,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) api_server: Option<(String, u16)>,
    /// What is read by list.
    pub(crate) listed: Option<ListedAt>,
    /// The last input that was accepted.
    pub(crate) accepted: Option<Input>,
    /// What the last input renders to.
    pub(crate) rendered: Option<(Input, Rendered)>,
    /// What is to be measured.
    pub(crate) probes: Vec<(ComponentId, Probe)>,
    pub(crate) results: ProbeResults,
    pub(crate) earlier: ProbeResults,
    /// The status as it was last stored by this process.
    pub(crate) stored: Option<GlooNetworkStatus>,
    /// Since when a watch has been waited for.
    pub(crate) blind_since: Option<Timestamp>,
    changes: mpsc::Receiver<String>,
    prober: Arc<Prober>,
    pulse: Arc<Pulse>,
}

impl Controller {
    pub(crate) fn new(
        cluster: Cluster,
        hands: Hands,
        arguments: &Arguments,
        metrics: Arc<Metrics>,
        pulse: Arc<Pulse>,
    ) -> Self {
        let (eyes, changes) = cluster.eyes();
        Self {
            eyes: Arc::new(eyes),
            hands,
            events: cluster.events(&arguments.identity),
            metrics,
            api_server: arguments.api_server(),
            listed: None,
            accepted: None,
            rendered: None,
            probes: Vec::new(),
            results: ProbeResults::new(),
            earlier: ProbeResults::new(),
            stored: None,
            blind_since: None,
            changes,
            prober: Arc::new(cluster.prober()),
            pulse,
            cluster,
        }
    }

    /// Works until `stop`.
    pub(crate) async fn run(mut self, stop: &CancellationToken) {
        self.follow_always();
        let mut schedule = Schedule::default();
        let mut probing: Option<JoinHandle<ProbeResults>> = None;
        let mut next_probe = Instant::now();
        let mut wake: Option<Instant> = None;
        loop {
            self.pulse.turn();
            let turn = Instant::now() + TURN;
            let trigger = tokio::select! {
                () = stop.cancelled() => return,
                Some(change) = self.changes.recv() => self.burst(change).await,
                Some(results) = finished(&mut probing) => self.measured(results),
                () = sleep_until(next_probe), if probing.is_none() && !self.probes.is_empty() => {
                    probing = Some(self.measure());
                    continue;
                }
                () = sleep_until(wake.unwrap_or(turn)), if wake.is_some() => "the clock".to_owned(),
                () = sleep_until(turn) => continue,
            };
            let next = self.turn(&trigger).await;
            let (pause, between_probes) = schedule.after(&next, Timestamp::now(), rand::random());
            wake = pause.map(|pause| Instant::now() + pause);
            next_probe = next_probe.min(Instant::now() + between_probes);
            if trigger == PROBES {
                next_probe = Instant::now() + between_probes;
            }
        }
    }

    async fn turn(&mut self, trigger: &str) -> Next {
        let began = Instant::now();
        let result = self.reconcile(trigger, began).await;
        self.metrics
            .reconciled(result.is_ok(), began.elapsed().as_secs_f64());
        result.unwrap_or_else(|fault| {
            tracing::warn!(
                error = gloonet_daemon::error::chain(&fault),
                trigger,
                "reconcile failed"
            );
            Next {
                retry: true,
                failed: true,
                ..Next::default()
            }
        })
    }

    pub(crate) fn follow_always(&self) {
        self.eyes.follow(Source::Platform);
        self.eyes.follow(Source::Nodes);
        for namespace in [OPERATOR_NAMESPACE, MESH_NAMESPACE, CILIUM_NAMESPACE] {
            self.eyes.follow(Source::Pods(namespace.to_owned()));
        }
        for namespace in [OPERATOR_NAMESPACE, MESH_NAMESPACE] {
            self.eyes.follow(Source::Secrets(namespace.to_owned()));
        }
    }

    async fn burst(&mut self, first: String) -> String {
        sleep(DEBOUNCE).await;
        while self.changes.try_recv().is_ok() {}
        first
    }

    /// Runs the probes and waits for their results.
    pub(crate) async fn measure_now(&self) -> ProbeResults {
        let pods = self.eyes.read(gloonet_cluster::observe::pods);
        self.prober.run(&self.probes, &pods, &self.eyes).await
    }

    fn measure(&self) -> JoinHandle<ProbeResults> {
        let (prober, eyes, wanted) = (
            Arc::clone(&self.prober),
            Arc::clone(&self.eyes),
            self.probes.clone(),
        );
        tokio::spawn(async move {
            let pods = eyes.read(gloonet_cluster::observe::pods);
            prober.run(&wanted, &pods, &eyes).await
        })
    }

    fn measured(&mut self, results: ProbeResults) -> String {
        self.metrics.probed(results.iter());
        self.earlier = std::mem::replace(&mut self.results, results);
        PROBES.to_owned()
    }
}

const PROBES: &str = "probes";

/// Resolves when the measurement that runs is finished; never while none runs.
async fn finished(probing: &mut Option<JoinHandle<ProbeResults>>) -> Option<ProbeResults> {
    let Some(task) = probing else {
        return std::future::pending().await;
    };
    let results = task.await;
    *probing = None;
    match results {
        Ok(results) => Some(results),
        Err(error) => {
            tracing::error!(%error, "a probe panicked");
            Some(ProbeResults::new())
        }
    }
}
