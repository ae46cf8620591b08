//! Kubernetes Events about the `GlooNetwork`.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

/// Longest note the API server takes (events.k8s.io/v1).
const LONGEST_NOTE: usize = 1024;

/// Normal or something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For the record.
    Normal,
    /// For a person.
    Warning,
}

/// Publishes events; repeats are counted by the API server's series.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Events")
    }
}

impl Events {
    /// `instance` is the pod's name.
    pub fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter {
            controller: "gloonetwork.io/operator".to_owned(),
            instance: Some(instance.to_owned()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Says something about the `GlooNetwork`. An event that cannot be sent is logged and lost.
    pub async fn say(
        &self,
        platform: &gloonet_api::GlooNetwork,
        kind: Kind,
        reason: &str,
        action: &str,
        note: &str,
    ) {
        let mut note = note.to_owned();
        if note.len() > LONGEST_NOTE {
            let end = (0..=LONGEST_NOTE - 3)
                .rev()
                .find(|at| note.is_char_boundary(*at))
                .unwrap_or(0);
            note.truncate(end);
            note.push('…');
        }
        let event = Event {
            type_: match kind {
                Kind::Normal => EventType::Normal,
                Kind::Warning => EventType::Warning,
            },
            reason: reason.to_owned(),
            note: Some(note),
            action: action.to_owned(),
            secondary: None,
        };
        // Events about cluster-scoped objects live in the namespace `default`; the reference itself has none.
        let reference: ObjectReference = platform.object_ref(&());
        if let Err(error) = self.recorder.publish(&event, &reference).await {
            tracing::warn!(%error, reason, "event not sent");
        }
    }
}
