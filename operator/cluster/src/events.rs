//! Kubernetes Events about the `GlooNetwork` (events.k8s.io/v1).
//!
//! Each sentence is an Event of its own: joining them into a series, as client libraries do, would keep only the first note.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use gloonet_api::GlooNetwork;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::events::v1::Event, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, PostParams},
};

/// The same sentence is not said again within this time.
const QUIET: SignedDuration = SignedDuration::from_mins(10);
/// Events about objects without a namespace live here.
const NAMESPACE: &str = "default";

/// Normal or something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For the record.
    Normal,
    /// For a person.
    Warning,
}

/// Publishes Events.
pub struct Events {
    api: Api<Event>,
    instance: String,
    said: Mutex<BTreeMap<(String, String), Timestamp>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Events")
    }
}

impl Events {
    /// `instance` is the pod's name.
    pub fn new(client: Client, instance: &str) -> Self {
        Self {
            api: Api::namespaced(client, NAMESPACE),
            instance: instance.to_owned(),
            said: Mutex::default(),
        }
    }

    /// Says something about the `GlooNetwork`. An Event that cannot be sent is logged and lost.
    pub async fn say(
        &self,
        platform: &GlooNetwork,
        kind: Kind,
        reason: &str,
        action: &str,
        note: &str,
    ) {
        let now = Timestamp::now();
        if self.was_said(reason, note, now) {
            return;
        }
        let event = Event {
            metadata: ObjectMeta {
                name: Some(format!(
                    "{}.{:x}",
                    gloonet_api::SINGLETON,
                    now.as_nanosecond()
                )),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            },
            action: Some(action.to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(gloonet_daemon::events::note(note)),
            reason: Some(reason.to_owned()),
            regarding: Some(platform.object_ref(&())),
            reporting_controller: Some("gloonetwork.io/operator".to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(
                if kind == Kind::Warning {
                    "Warning"
                } else {
                    "Normal"
                }
                .to_owned(),
            ),
            ..Event::default()
        };
        if let Err(error) = self.api.create(&PostParams::default(), &event).await {
            tracing::warn!(%error, reason, note, "event not sent");
        }
    }

    fn was_said(&self, reason: &str, note: &str, now: Timestamp) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|_, at| now.duration_since(*at) < QUIET);
        said.insert((reason.to_owned(), note.to_owned()), now)
            .is_some()
    }
}
