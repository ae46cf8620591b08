//! The writer against an API server in memory: what is sent, what is not sent, and what is said about it.

#![expect(
    clippy::unwrap_used,
    reason = "a scenario that cannot be set up fails its test"
)]

#[path = "scenario/api_server.rs"]
mod api_server;
#[path = "scenario/quarrels.rs"]
mod quarrels;
#[path = "scenario/retries.rs"]
mod retries;

use api_server::ApiServer;
use base64::{
    Engine,
    prelude::{
        BASE64_STANDARD as STANDARD, BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD,
        BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD,
    },
};
use gloonet_catalog::{ComponentId, Health, SecretKind, SecretName, SecretSpec};
use gloonet_cluster::{Cluster, Hands, secrets};
use gloonet_plan::{
    Desired, DesiredComponent, DesiredObject, Fingerprint, Intent, Live, LiveObject, NeededSecret,
    ObjectKey, Reason, SecretCondition, Step, plan, progress::Trouble,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const CONFIG: &str = "/api/v1/namespaces/gloo-mesh/configmaps/redis";
const INVENTORY: &str = "/api/v1/namespaces/gloonet-system/configmaps/gloonet-inventory";
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn config(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "redis", "namespace": "gloo-mesh", "labels": {"app.kubernetes.io/managed-by": "gloonet-operator"}}, "data": {"key": value}})
}

fn redis(value: &str) -> Desired {
    let object = DesiredObject::new(serde_json::from_value(config(value)).unwrap()).unwrap();
    let component = DesiredComponent {
        id: ComponentId::Redis,
        needs: Vec::new(),
        intent: Intent::Wanted,
        objects: Ok(vec![object]),
        secrets: Vec::new(),
        health: Health::healthy(""),
        deadline: SignedDuration::from_mins(5),
        stuck: false,
    };
    Desired {
        components: vec![component],
    }
}

/// The same with a second object.
fn with_another() -> Desired {
    let mut desired = redis("1");
    let second = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "gloo-mesh"}});
    let second = DesiredObject::new(serde_json::from_value(second).unwrap()).unwrap();
    desired.components[0].objects.as_mut().unwrap().push(second);
    desired
}

/// What a watch on the ConfigMaps of gloo-mesh would show.
fn seen(server: &ApiServer) -> Live {
    let mut live = Live::default();
    live.read.insert((
        String::new(),
        "ConfigMap".to_owned(),
        Some("gloo-mesh".to_owned()),
    ));
    if let Some(object) = server
        .get(CONFIG)
        .filter(|object| !object["metadata"]["labels"].is_null())
    {
        let found = LiveObject {
            uid: object["metadata"]["uid"].as_str().unwrap().to_owned(),
            fingerprint: Fingerprint::of_content(&object),
            deleting: false,
            version: object["metadata"]["resourceVersion"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap(),
        };
        live.objects.insert(
            redis("").components[0].objects.as_ref().unwrap()[0]
                .key
                .clone(),
            found,
        );
    }
    live
}

async fn hands(server: &ApiServer) -> Hands {
    Cluster::with(server.client()).hands().await.unwrap()
}

/// One turn: look, plan, run, store. The requests it took, and what came of it.
async fn turn(
    hands: &mut Hands,
    server: &ApiServer,
    desired: &Desired,
) -> (Vec<String>, gloonet_cluster::hands::Done) {
    turn_at(NOW, hands, server, desired).await
}

async fn turn_at(
    now: Timestamp,
    hands: &mut Hands,
    server: &ApiServer,
    desired: &Desired,
) -> (Vec<String>, gloonet_cluster::hands::Done) {
    server.lines();
    let live = hands.current(seen(server), now);
    let steps = plan(desired, &live, hands.inventory()).unwrap().steps;
    let done = hands.run(&steps, &live, now).await;
    hands.store().await.ok();
    (server.lines(), done)
}

#[tokio::test]
async fn an_unchanged_object_costs_no_request_also_after_a_restart() {
    let server = ApiServer::default();
    let mut first = hands(&server).await;
    let (lines, done) = turn(&mut first, &server, &redis("1")).await;
    assert_eq!(
        lines,
        [
            format!("PATCH {CONFIG}"),
            format!("PATCH {INVENTORY} force=true")
        ]
    );
    assert_eq!(done.outcomes[&ComponentId::Redis].changed, 1);
    assert_eq!(
        turn(&mut first, &server, &redis("1")).await.0,
        Vec::<String>::new()
    );
    let mut restarted = hands(&server).await;
    assert_eq!(
        turn(&mut restarted, &server, &redis("1")).await.0,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn an_edited_object_is_put_right_and_its_editor_named() {
    let server = ApiServer::default();
    let mut hands = hands(&server).await;
    turn(&mut hands, &server, &redis("1")).await;
    server.put(CONFIG, config("edited"), "kubectl-edit");
    let (lines, done) = turn(&mut hands, &server, &redis("1")).await;
    assert_eq!(
        lines[..2],
        [
            format!("PATCH {CONFIG}"),
            format!("PATCH {CONFIG} force=true")
        ]
    );
    assert_eq!(server.get(CONFIG).unwrap()["data"]["key"], "1");
    assert_eq!(
        done.corrections,
        [
            "ConfigMap gloo-mesh/redis was changed by somebody else (kubectl-edit had changed .data.key); restored"
        ]
    );
    assert!(turn(&mut hands, &server, &redis("1")).await.0.is_empty());
}

#[tokio::test]
async fn a_write_is_unseen_until_the_watch_shows_it_and_one_that_changed_nothing_never() {
    let server = ApiServer::default();
    let mut hands = hands(&server).await;
    let late = seen(&server);
    let (_, done) = turn(&mut hands, &server, &redis("1")).await;
    assert!(done.outcomes[&ComponentId::Redis].unseen);
    let live = hands.current(late, NOW);
    let done = hands.run(&[], &live, NOW).await;
    assert!(done.outcomes[&ComponentId::Redis].unseen, "{done:?}");
    let (_, done) = turn(&mut hands, &server, &redis("1")).await;
    assert!(done.outcomes.is_empty(), "{done:?}");

    let again = Step::Apply {
        component: ComponentId::Redis,
        object: Box::new(redis("1").components[0].objects.as_ref().unwrap()[0].clone()),
        reason: Reason::Changed,
    };
    let live = hands.current(seen(&server), NOW);
    let done = hands.run(&[again], &live, NOW).await;
    assert_eq!(done.results, [("redis".to_owned(), "unchanged")]);
    assert!(done.outcomes.is_empty(), "{done:?}");

    let (_, done) = turn(&mut hands, &server, &redis("2")).await;
    assert!(done.outcomes[&ComponentId::Redis].unseen);
}

#[tokio::test]
async fn a_deleted_object_comes_back() {
    let server = ApiServer::default();
    let mut hands = hands(&server).await;
    turn(&mut hands, &server, &redis("1")).await;
    turn(&mut hands, &server, &redis("1")).await;
    let uid = server.get(CONFIG).unwrap()["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    let key = hands.inventory().entries.keys().next().unwrap().clone();
    let gone = Step::Delete {
        component: "redis".to_owned(),
        key,
        uid,
        reason: Reason::Unwanted,
    };
    Cluster::with(server.client())
        .hands()
        .await
        .unwrap()
        .run(&[gone], &Live::default(), NOW)
        .await;
    let (_, done) = turn(&mut hands, &server, &redis("1")).await;
    assert_eq!(
        done.corrections,
        ["ConfigMap gloo-mesh/redis was deleted; restored"]
    );
    assert!(server.get(CONFIG).is_some());
}

#[tokio::test]
async fn somebody_elses_object_is_not_taken_over_by_force() {
    let server = ApiServer::default();
    let mut theirs = config("theirs");
    theirs["metadata"]["labels"] = Value::Null;
    server.put(CONFIG, theirs, "helm");
    let mut hands = hands(&server).await;
    let (lines, done) = turn(&mut hands, &server, &redis("1")).await;
    assert_eq!(lines, [format!("PATCH {CONFIG}")]);
    let Some(Trouble::Lasting(why)) = &done.outcomes[&ComponentId::Redis].trouble else {
        panic!("{done:?}")
    };
    assert!(
        why.contains("belongs to somebody else (helm had changed .data.key)"),
        "{why}"
    );
    assert_eq!(server.get(CONFIG).unwrap()["data"]["key"], "theirs");
}

#[tokio::test]
async fn an_unwanted_object_is_deleted_only_with_the_uid_that_was_made() {
    let server = ApiServer::default();
    let mut hands = hands(&server).await;
    turn(&mut hands, &server, &redis("1")).await;
    turn(&mut hands, &server, &redis("1")).await;
    let mut desired = redis("1");
    desired.components[0].objects = Ok(Vec::new());
    let live = hands.current(seen(&server), NOW);
    let steps = plan(&desired, &live, hands.inventory()).unwrap().steps;
    // Between the look and the deletion somebody makes another object of the same name.
    let key = hands.inventory().entries.keys().next().unwrap().clone();
    let uid = hands.inventory().entries[&key].uid.clone();
    server.put(CONFIG, config("new"), "kubectl");
    let other = Step::Delete {
        component: "redis".to_owned(),
        key,
        uid: format!("{uid}-other"),
        reason: Reason::Unwanted,
    };
    let done = hands.run(&[other], &live, NOW).await;
    assert!(done.pruned.is_empty() && server.get(CONFIG).is_some());
    let done = hands.run(&steps, &live, NOW).await;
    assert_eq!(done.pruned.len(), 1);
    assert!(server.get(CONFIG).is_none());
}

#[tokio::test]
async fn a_silent_api_server_ends_the_turn_and_nobody_is_blamed() {
    let server = ApiServer::default();
    let mut hands = hands(&server).await;
    server.set_down(true);
    let (lines, done) = turn(&mut hands, &server, &with_another()).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(done.retry);
    assert!(
        matches!(
            done.outcomes[&ComponentId::Redis].trouble,
            Some(Trouble::Passing(_))
        ),
        "{done:?}"
    );
}

#[tokio::test]
async fn a_password_is_made_once_and_survives_a_second_attempt() {
    const SECRET: &str = "/api/v1/namespaces/gloo-mesh/secrets/redis-auth";
    let server = ApiServer::default();
    let mut hands = hands(&server).await;
    let kind = SecretKind::Password {
        username: "admin".to_owned(),
        length: 32,
    };
    let spec = SecretSpec {
        namespace: "gloo-mesh".to_owned(),
        name: "redis-auth".to_owned(),
        kind,
    };
    let step = Step::EnsureSecret {
        component: ComponentId::Trust,
        spec: spec.clone(),
        reason: Reason::New,
    };
    hands
        .run(std::slice::from_ref(&step), &Live::default(), NOW)
        .await;
    let made = server.get(SECRET).unwrap()["data"].clone();
    hands.run(&[step], &Live::default(), NOW).await;
    assert_eq!(server.get(SECRET).unwrap()["data"], made);
    let needed = NeededSecret {
        spec,
        condition: SecretCondition::Complete,
    };
    assert!(hands.inventory().entries.contains_key(&needed.key()));
    assert!(
        !hands
            .inventory()
            .to_text()
            .contains(made["password"].as_str().unwrap())
    );
}

#[tokio::test]
async fn a_broken_inventory_is_an_error_and_not_an_empty_one() {
    let server = ApiServer::default();
    server.put(
        INVENTORY,
        json!({"metadata": {"name": "gloonet-inventory"}, "data": {"objects": "{broken"}}),
        "kubectl",
    );
    let fault = Cluster::with(server.client()).hands().await.unwrap_err();
    assert!(
        fault
            .to_string()
            .contains("gloonet-inventory holds what is no inventory"),
        "{fault}"
    );
}

const RECORDS: &str = "/api/v1/namespaces/gloo-mesh/secrets/relay-enrolment-tokens";
const TOKEN: &str = "/api/v1/namespaces/gloo-mesh/secrets/relay-identity-token-secret";

fn token() -> SecretSpec {
    SecretSpec {
        namespace: "gloo-mesh".to_owned(),
        name: "relay-identity-token-secret".to_owned(),
        kind: SecretKind::Token {
            cluster: "west".parse().unwrap(),
            records: SecretName::new("gloo-mesh", "relay-enrolment-tokens"),
            certificate: SecretName::new("gloo-mesh", "relay-client-tls-secret"),
            root: SecretName::new("gloo-mesh", "relay-root-tls-secret"),
        },
    }
}

fn decoded(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_is_recorded_before_it_is_given_out_and_only_its_hash_is_kept() {
    let server = ApiServer::default();
    // The manager of a patch that names none.
    server.put(RECORDS, json!({"metadata": {"name": "r"}}), "nobody");
    let made = secrets::ensure(&server.client(), ComponentId::Trust, &token()).await;
    assert!(made.unwrap().1);
    let writes: Vec<String> = server
        .lines()
        .into_iter()
        .filter(|line| !line.starts_with("GET"))
        .collect();
    assert_eq!(
        writes,
        [
            format!("PATCH {RECORDS}"),
            "POST /api/v1/namespaces/gloo-mesh/secrets".to_owned()
        ]
    );
    let record = decoded(&server.get(RECORDS).unwrap()["data"]["west"]);
    let record: Value = serde_json::from_slice(&record).unwrap();
    let secret = server.get(TOKEN).unwrap();
    let text = decoded(&secret["data"]["token"]);
    let token = URL_SAFE_NO_PAD.decode(&text).unwrap();
    assert_eq!(token.len(), 32);
    assert_eq!(
        record["sha256"],
        STANDARD_NO_PAD.encode(Sha256::digest(&token))
    );
    assert!(
        !record
            .to_string()
            .contains(&String::from_utf8(text).unwrap())
    );
    let expires = &secret["metadata"]["annotations"]["gloonetwork.io/token-expires"];
    assert_eq!(&record["expires"], expires);
}

#[tokio::test]
async fn without_its_record_no_token_is_given_out() {
    let server = ApiServer::default();
    let made = secrets::ensure(&server.client(), ComponentId::Trust, &token()).await;
    let trouble = made.unwrap_err().to_trouble();
    assert!(
        matches!(&trouble, Trouble::Passing(why) if why.contains("relay-enrolment-tokens")),
        "{trouble:?}"
    );
    assert_eq!(server.get(TOKEN), None);
}

#[test]
fn a_key_reads_like_kubectl_writes_it() {
    assert_eq!(
        ObjectKey::secret("gloo-mesh", "redis").to_string(),
        "Secret gloo-mesh/redis"
    );
}
