//! What every part of the running agent shares.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use cilium_hubble::observer::Observer;
use datapath::{Datapath, Maglev, Routing};
use ipnet::Ipv4Net;
use tokio::sync::watch;

use crate::cluster_health::ClusterHealth;
use crate::endpoint::{Endpoint, PodRef};
use crate::endpoints::Endpoints;
use crate::events::Events;
use crate::identity::{Identities, Resolved, resolve};
use crate::kubernetes::{Kubernetes, OwnPod, Watched};
use crate::metrics::timings::Timings;
use crate::moment::Moment;
use crate::policy::Policies;
use crate::services::Reserved;

/// The node as it runs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    pub name: String,
    pub ip: Ipv4Addr,
    pub router: Ipv4Addr,
    pub pod_cidrs: Vec<Ipv4Net>,
    pub cluster: String,
    /// Bytes; of the pods' links.
    pub mtu: u32,
    pub routing: Routing,
    /// How who asks from outside gets an endpoint; `None`: at random.
    pub maglev: Option<Maglev>,
}

#[derive(Debug, Default)]
pub struct Tally {
    pub services_updated: AtomicU64,
    pub services_removed: AtomicU64,
    /// Endpoints that were written to the datapath: new ones, and those whose identity or policy is another.
    pub regenerations: AtomicU64,
    pub regenerations_failed: AtomicU64,
    pub nodes_updated: AtomicU64,
    pub nodes_removed: AtomicU64,
    pub publish_failures: AtomicU64,
    pub flows: FlowTally,
}

impl Tally {
    /// Counts an endpoint that was given another identity or policy, or could not be; whether the datapath may be another now. What
    /// failed may have been written in part.
    pub fn regenerated<E>(&self, changed: &Result<bool, E>) -> bool {
        let counter = match changed {
            Ok(false) => return false,
            Ok(true) => &self.regenerations,
            Err(_) => &self.regenerations_failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        true
    }
}

/// What collecting ended connections found.
#[derive(Debug, Default)]
pub struct FlowTally {
    pub runs: AtomicU64,
    pub failed: AtomicU64,
    pub tcp_alive: AtomicU64,
    pub tcp_deleted: AtomicU64,
    pub other_alive: AtomicU64,
    pub other_deleted: AtomicU64,
    /// Forgotten before their time so that others keep theirs.
    pub connections_shed: AtomicU64,
    pub translations_shed: AtomicU64,
}

pub struct Agent {
    pub own: Own,
    /// The pod the agent runs in; none outside a pod.
    own_pod: Option<OwnPod>,
    pub endpoints: Endpoints,
    pub policies: Policies,
    pub watched: Arc<Watched>,
    pub kubernetes: Kubernetes,
    pub datapath: Arc<dyn Datapath>,
    pub events: Events,
    pub tally: Tally,
    pub timings: Timings,
    /// Set once flows are recorded.
    pub flows: OnceLock<Arc<Observer>>,
    /// Set once nodes are probed.
    pub cluster_health: OnceLock<Arc<ClusterHealth>>,
    /// [`Self::identities`] and the version of the watch they were made of.
    identities: Mutex<Option<(u64, Arc<Identities>)>>,
    /// Parts that have written everything they know at least once.
    filled: watch::Sender<BTreeSet<&'static str>>,
    /// What Services were last denied.
    reserved: Mutex<Arc<Reserved>>,
    /// When Services were last compared with the datapath.
    services_updated: Mutex<Option<Moment>>,
    /// What does not work now, by part; an entry is a sentence.
    problems: Mutex<std::collections::BTreeMap<&'static str, String>>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

impl Agent {
    pub fn new(
        own: Own,
        own_pod: Option<OwnPod>,
        endpoints: Endpoints,
        policies: Policies,
        watched: Arc<Watched>,
        kubernetes: Kubernetes,
        datapath: Arc<dyn Datapath>,
    ) -> Self {
        Self {
            own,
            own_pod,
            endpoints,
            policies,
            watched,
            kubernetes,
            datapath,
            events: Events::default(),
            tally: Tally::default(),
            timings: Timings::default(),
            flows: OnceLock::new(),
            cluster_health: OnceLock::new(),
            identities: Mutex::default(),
            filled: watch::Sender::new(BTreeSet::new()),
            reserved: Mutex::default(),
            services_updated: Mutex::default(),
            problems: Mutex::default(),
        }
    }

    /// The identity of a pod as far as the caches know it.
    pub fn identity_of(&self, pod: Option<&PodRef>, identities: &Identities) -> Resolved {
        let Some(pod) = pod else {
            return Resolved::init();
        };
        resolve(
            self.watched.pods.get(&pod.namespace, &pod.name).as_deref(),
            self.watched.namespaces.get("", &pod.namespace).as_deref(),
            &pod.uid,
            &self.own.cluster,
            identities,
        )
    }

    /// An endpoint in the form of the REST API.
    pub fn model_of(&self, endpoint: &Endpoint) -> cilium_cni::model::Endpoint {
        let enforcement = self.policies.enforcement(endpoint.policy);
        endpoint.to_model(enforcement.unwrap_or_default())
    }

    /// The label sets that have a number now. Made anew only when an identity changed.
    pub fn identities(&self) -> Arc<Identities> {
        let version = self.watched.identities.version();
        let mut known = self
            .identities
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((of, identities)) if *of == version => identities.clone(),
            _ => {
                let objects = self.watched.identities.list();
                let identities = Arc::new(Identities::new(objects.iter().map(AsRef::as_ref)));
                *known = Some((version, identities.clone()));
                identities
            }
        }
    }

    /// A part says that everything it knows is in the datapath.
    pub fn filled(&self, part: &'static str) {
        self.filled.send_if_modified(|filled| filled.insert(part));
    }

    /// The parts that have said so.
    pub fn all_filled(&self) -> watch::Receiver<BTreeSet<&'static str>> {
        self.filled.subscribe()
    }

    /// What no Service gets by naming it, as of the last look at Services.
    pub fn reserved(&self) -> Arc<Reserved> {
        let reserved = self.reserved.lock();
        reserved.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what is reserved now.
    pub fn reserve(&self, now: Reserved) -> Arc<Reserved> {
        let now = Arc::new(now);
        let reserved = self.reserved.lock();
        *reserved.unwrap_or_else(PoisonError::into_inner) = now.clone();
        now
    }

    /// Every Service was compared with the datapath, and written where it fits.
    pub fn services_are_updated(&self, now: Moment) {
        *self
            .services_updated
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// When that was last so.
    pub fn services_updated(&self) -> Option<Moment> {
        *self
            .services_updated
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets or clears what is wrong with a part; logs when it changes.
    pub fn report(&self, part: &'static str, problem: Option<String>) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let before = problems.get(part).cloned();
        if before == problem {
            return;
        }
        if let Some(problem) = problem {
            tracing::warn!(part, "{problem}");
            problems.insert(part, problem);
        } else {
            tracing::info!(part, "Works again");
            problems.remove(part);
        }
    }

    /// As [`Self::report`], of a pass that began then.
    pub fn ran(&self, part: &'static str, began: Instant, problem: Option<String>) {
        self.timings.ran(problem.is_none(), began.elapsed());
        self.report(part, problem);
    }

    /// Warns of something in an event about the agent's pod; whether it is told.
    pub async fn announce(&self, reason: &str, sentence: &str) -> bool {
        let Some(pod) = &self.own_pod else {
            return true;
        };
        let note = format!("Node {}: {sentence}", self.own.name);
        let written = self.kubernetes.warn_about_pod(pod, reason, &note).await;
        if let Err(error) = &written {
            tracing::warn!(
                error = cilium_cni::error::chain(error),
                "Event could not be written"
            );
        }
        written.is_ok()
    }

    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems
            .iter()
            .map(|(part, text)| (*part, text.clone()))
            .collect()
    }
}

/// Runs system calls of the datapath away from the tasks that answer requests. A panic there becomes `None`.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
pub(crate) mod tests;
