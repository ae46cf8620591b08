use std::{convert::Infallible, sync::Mutex as Lock};

use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Bytes;
use kube::{api::DynamicObject, client::Body, runtime::watcher::Event};
use serde_json::{Value, json};

use super::*;
use crate::{
    admit::tests::labels,
    kinds::{self, Watched},
};

const WORKSPACES: Watched = kinds::GLOO_KINDS[1];

/// A cluster's reconciler; its API server takes everything and remembers what was asked.
struct Kit {
    reconciler: Reconciler,
    observed: Arc<Observed>,
    control: watch::Sender<Option<Control>>,
    asked: Arc<Lock<Vec<Method>>>,
}

fn policy(number: usize) -> Value {
    json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"name": format!("p{number}"), "namespace": "shop", "labels": labels()},
        "spec": {"endpointSelector": {}},
    })
}

/// As the API server shows it.
fn shown(mut object: Value, uid: &str) -> DynamicObject {
    object["metadata"]["uid"] = uid.into();
    object["metadata"]["resourceVersion"] = "1".into();
    serde_json::from_value(object).unwrap()
}

fn workspace() -> Value {
    json!({
        "apiVersion": "admin.gloo.solo.io/v2", "kind": "Workspace",
        "metadata": {"name": "shop", "namespace": "gloo-mesh"},
        "status": {"common": {}},
    })
}

fn objects(all: impl IntoIterator<Item = Value>) -> Objects {
    let keyed = all.into_iter().map(|object| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (api, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let metadata = &object["metadata"];
        let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
        let key = ObjectKey::new(&api, &kind, &namespace, &name).unwrap();
        (key, Bytes::from(object.to_string()))
    });
    keyed.collect()
}

impl Kit {
    /// With ten policies of ours.
    fn start() -> Self {
        let asked = Arc::new(Lock::new(Vec::new()));
        let server = asked.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            server.lock().unwrap().push(request.method().clone());
            let answer = json!(shown(workspace(), "u1")).to_string();
            async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer)))) }
        });
        let observed = Arc::new(Observed::new("west"));
        for watched in kinds::all() {
            observed.take(&watched, Event::Init).unwrap();
            if watched == kinds::POLICY {
                for number in 0..10 {
                    let object = shown(policy(number), "u");
                    observed.take(&watched, Event::InitApply(object)).unwrap();
                }
            }
            observed.take(&watched, Event::InitDone).unwrap();
        }
        let (control, heard) = watch::channel(Some(Control::default()));
        let client = Client::new(service, "default");
        Self {
            reconciler: Reconciler::new(client, "west", observed.clone(), heard),
            observed,
            control,
            asked,
        }
    }

    /// The server desires these, and has heard what became of them.
    async fn desire(&self, all: Objects) {
        self.reconciler.desired(all).await;
        let turn = self.reconciler.results().borrow().turn;
        self.reconciler.settled(turn).await;
    }

    fn asked(&self, method: &Method) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| *asked == method).count()
    }
}

#[tokio::test]
async fn a_confirmation_of_long_ago_opens_no_new_budget() {
    let kit = Kit::start();
    kit.control.send_replace(Some(Control {
        confirm_removal: Some("ab".repeat(32)),
        ..Control::default()
    }));
    kit.desire(objects((0..5).map(policy))).await;
    assert_eq!(kit.asked(&Method::DELETE), 5);
    for number in 5..10 {
        let gone = Event::Delete(shown(policy(number), "u"));
        kit.observed.take(&kinds::POLICY, gone).unwrap();
    }
    kit.desire(Objects::new()).await;
    assert_eq!(kit.asked(&Method::DELETE), 5);
    let report = kit.reconciler.report();
    let held = report.borrow().held.as_ref().map(|(removed, _)| *removed);
    assert_eq!(held, Some(10));
}

#[tokio::test]
async fn before_the_switch_was_heard_of_nothing_is_asked_of_the_cluster() {
    let kit = Kit::start();
    kit.control.send_replace(None);
    kit.desire(objects((1..12).map(policy))).await;
    assert_eq!(*kit.asked.lock().unwrap(), Vec::<Method>::new());
    kit.control.send_replace(Some(Control::default()));
    kit.desire(objects((1..12).map(policy))).await;
    assert_eq!(kit.asked(&Method::DELETE), 1);
}

#[tokio::test]
async fn the_status_of_a_resource_that_was_made_again_is_written_again() {
    let kit = Kit::start();
    let policies: Vec<_> = (0..10).map(policy).collect();
    let with = || objects(policies.iter().cloned().chain([workspace()]));
    let made = |uid| Event::Apply(shown(workspace(), uid));
    kit.observed.take(&WORKSPACES, made("u1")).unwrap();
    kit.desire(with()).await;
    let before = kit.asked(&Method::PATCH);
    kit.desire(with()).await;
    assert_eq!(kit.asked(&Method::PATCH), before, "nothing is new");
    kit.desire(objects(policies.clone())).await;
    kit.desire(with()).await;
    assert_eq!(kit.asked(&Method::PATCH), before + 1, "desired again");
    kit.observed.take(&WORKSPACES, made("u2")).unwrap();
    kit.desire(with()).await;
    assert_eq!(kit.asked(&Method::PATCH), before + 2, "another one");
}
