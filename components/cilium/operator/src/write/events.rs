//! Kubernetes Events (events.k8s.io/v1) about objects that others write.
//!
//! Each sentence is an Event of its own: a recorder that is kept takes two of one reason about one object for one that repeats, and
//! keeps the first one's words.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use cilium_api::names;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

/// The same sentence about the same object is not said again within this.
const QUIET: Duration = Duration::from_mins(10);
/// Sentences that are remembered. Who makes more of them in that time may hear one twice.
const MOST: usize = 1000;

/// Object and sentence.
type Said = (String, String);

pub(super) struct Events {
    client: Client,
    reporter: Reporter,
    said: Mutex<BTreeMap<Said, Instant>>,
}

impl Events {
    pub(super) fn new(client: Client, instance: &str) -> Self {
        Self {
            client,
            reporter: Reporter {
                controller: names::OPERATOR.to_owned(),
                instance: Some(instance.to_owned()),
            },
            said: Mutex::default(),
        }
    }

    pub(super) async fn say(
        &self,
        about: &ObjectReference,
        reason: &str,
        note: &str,
    ) -> kube::Result<()> {
        let said = (
            format!("{:?} {:?} {:?}", about.kind, about.namespace, about.name),
            format!("{reason} {note}"),
        );
        if self.is_said(&said) {
            return Ok(());
        }
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_owned(),
            note: Some(gloonet_daemon::events::note(note)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        recorder.publish(&event, about).await?;
        let mut all = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(said, Instant::now());
        Ok(())
    }

    fn is_said(&self, said: &Said) -> bool {
        let mut all = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, at| at.elapsed() < QUIET);
        all.contains_key(said)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    type Came = Arc<Mutex<Vec<(Method, Value)>>>;

    /// An API server that takes whatever comes, and what came.
    fn takes() -> (Client, Came) {
        let came = Came::default();
        let kept = came.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let kept = kept.clone();
            async move {
                let method = request.method().clone();
                let bytes = request.into_body().collect_bytes().await?;
                let object: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                kept.lock().unwrap().push((method, object));
                Ok::<_, kube::Error>(Response::new(Body::from(bytes.to_vec())))
            }
        });
        (Client::new(service, "default"), came)
    }

    #[tokio::test]
    async fn each_sentence_about_an_object_is_an_event_of_its_own_and_said_once() {
        let (client, came) = takes();
        let events = Events::new(client, "one");
        let pod = |name: &str| ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: Some("shop".to_owned()),
            name: Some(name.to_owned()),
            ..ObjectReference::default()
        };
        for (name, note) in [
            ("web", "label a does not count"),
            ("web", "label b does not count"),
            ("web", "label a does not count"),
            ("db", "label a does not count"),
        ] {
            events.say(&pod(name), "LabelIgnored", note).await.unwrap();
        }
        events
            .say(&pod("web"), "Long", &"ä".repeat(1000))
            .await
            .unwrap();
        let came = came.lock().unwrap();
        let said: Vec<(&str, &str)> = came
            .iter()
            .map(|(_, event)| {
                let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
                (text("/regarding/name").unwrap(), text("/note").unwrap())
            })
            .collect();
        assert_eq!(
            said[..3],
            [
                ("web", "label a does not count"),
                ("web", "label b does not count"),
                ("db", "label a does not count"),
            ]
        );
        assert_eq!(said.len(), 4);
        assert!(
            said[3].1.len() <= gloonet_daemon::events::LONGEST_NOTE && said[3].1.ends_with('…')
        );
        // Nothing is joined to what was said before: that would need the right to patch Events.
        assert!(came.iter().all(|(method, _)| *method == Method::POST));
        assert_eq!(came[0].1["type"], json!("Warning"));
    }
}
