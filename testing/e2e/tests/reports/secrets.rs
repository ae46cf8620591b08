//! Test 15 of the security reference: what is in a Secret, or was shown as a token, is in nothing that people are shown.

use std::{ffi::OsStr, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Parser;
use gloonet_e2e::{
    Scene,
    objects::ignore_missing,
    platform,
    pods::{AGNHOST, Playground},
    surface::{self, Texts},
    tokens::token,
    wait::{Progress, until},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::{Value, json};

const MESH: &str = gloonet_api::MESH_NAMESPACE;
/// Every analyzer has looked since, and the engine after it.
const LOOKED: Duration = Duration::from_mins(1);
/// Keys of Secrets that are no secret.
const PUBLIC: [&str; 4] = ["ca.crt", "tls.crt", "jwks.json", "username"];
/// A shorter word of a Secret may stand anywhere by chance.
const SHORTEST: usize = 16;
/// Made by the operator alone: passwords, keys of certificates and authorities.
const ENOUGH: usize = 15;
const ENVIRONMENT: &str = "e2e-planted";

/// A text that must not be seen, and what it is.
struct Canary {
    what: String,
    text: String,
}

fn canary(what: &str, text: impl Into<String>) -> Canary {
    Canary {
        what: what.to_owned(),
        text: text.into(),
    }
}

fn planted(what: &str) -> Canary {
    canary(what, format!("canary-{what}-5f3a91c7d2e84b06"))
}

/// The words of every Secret of the platform: passwords, lines of keys, hashes of tokens.
async fn of_the_platform(scene: &Scene) -> Result<Vec<Canary>> {
    let mut canaries = Vec::new();
    for namespace in platform::NAMESPACES {
        let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), namespace);
        let ours = if namespace == "kube-system" {
            ListParams::default().labels(platform::COMPONENT)
        } else {
            ListParams::default()
        };
        for secret in secrets.list(&ours).await? {
            let name = secret.name_any();
            let data = secret.data.unwrap_or_default();
            for (key, value) in data
                .iter()
                .filter(|(key, _)| !PUBLIC.contains(&key.as_str()))
            {
                let text = String::from_utf8_lossy(&value.0);
                // The line of a user of Redis has a name and rights besides the hash.
                let of_redis = key.starts_with("user-");
                let words = text
                    .split_whitespace()
                    .filter(|word| word.len() >= SHORTEST && (!of_redis || word.starts_with('#')));
                let what = format!("{key} of Secret {namespace}/{name}");
                canaries.extend(words.map(|word| canary(&what, word)));
            }
        }
    }
    Ok(canaries)
}

/// What of the canaries stands where. The canaries themselves are not said.
fn hits(canaries: &[Canary], texts: &Texts) -> Vec<String> {
    let mut hits = Vec::new();
    for canary in canaries {
        let encoded = BASE64_STANDARD.encode(&canary.text);
        for (place, text) in texts {
            if text.contains(&canary.text) || text.contains(&encoded) {
                hits.push(format!("{} is in {place}", canary.what));
            }
        }
    }
    hits
}

/// A Secret of a user's in the environment of the gateway, which shows it to somebody who is not there.
async fn in_the_environment(scene: &Scene, value: &str) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": ENVIRONMENT, "namespace": MESH},
        "stringData": {"TOKEN": value},
    });
    scene.apply(&secret.to_string())?;
    let extra = json!({
        "exporters": {"prometheusremotewrite/mine": {"endpoint": "http://127.0.0.1:9/", "headers": {"Authorization": "Bearer ${env:TOKEN}"}}},
        "alsoExport": {"metrics": ["prometheusremotewrite/mine"]},
        "envSecret": ENVIRONMENT,
    });
    platform::change(scene, json!({"telemetry": {"gateway": {"extra": extra}}})).await?;
    platform::settled(scene, platform::HEALED).await.map(drop)
}

/// A pod that has secrets wherever a pod can have them.
async fn in_a_pod(ground: &Playground<'_>, scene: &Scene, value: &str) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &ground.namespace);
    let secret = json!({"metadata": {"name": "planted"}, "stringData": {"password": value}});
    secrets
        .create(&PostParams::default(), &serde_json::from_value(secret)?)
        .await
        .context("make a Secret")?;
    let pod = json!({
        "metadata": {"name": "holder", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": value}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": AGNHOST, "imagePullPolicy": "IfNotPresent", "args": ["pause", value],
                "env": [
                    {"name": "PASSWORD", "value": value},
                    {"name": "GIVEN", "valueFrom": {"secretKeyRef": {"name": "planted", "key": "password"}}},
                ],
            }],
        },
    });
    let made = ground
        .pods()
        .create(&PostParams::default(), &serde_json::from_value(pod)?)
        .await;
    made.map(drop).context("make a pod")
}

/// Both snapshots, once the first tells of `namespace`; the one who asks is known and may ask.
async fn snapshots(scene: &Scene, namespace: &str, token: &str) -> Result<Texts> {
    until(
        "the snapshot tells of the pod",
        platform::HEALED,
        async || {
            let (head, input) = surface::snapshot(scene, "/snapshots/input", token).await?;
            if !input.contains(namespace) {
                return Ok(Progress::NotYet(head));
            }
            let (_, output) = surface::snapshot(scene, "/snapshots/output", token).await?;
            Ok(Progress::Done(Texts::from([
                ("/snapshots/input".to_owned(), input),
                ("/snapshots/output".to_owned(), output),
            ])))
        },
    )
    .await
}

/// Files of `gloonet dump`, put after one another.
async fn dump(scene: &Scene) -> Result<Texts> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("dump.tar.gz");
    let kubeconfig = scene.lab.kubeconfig();
    let words: [&OsStr; 6] = [
        "gloonet".as_ref(),
        "--kubeconfig".as_ref(),
        kubeconfig.as_os_str(),
        "dump".as_ref(),
        "--output".as_ref(),
        file.as_os_str(),
    ];
    let arguments = gloonet_ctl::Arguments::try_parse_from(words)?;
    gloonet_ctl::run(arguments).await.context("gloonet dump")?;
    let output = Command::new("tar").args(["-xzOf"]).arg(&file).output()?;
    if !output.status.success() {
        bail!("tar: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Texts::from([(
        "the archive of gloonet dump".to_owned(),
        text,
    )]))
}

/// All places; each must show what it is known to have, or a canary could not be seen in it either.
async fn shown(scene: &Scene, namespace: &str, token: &str) -> Result<Texts> {
    let holder = |item: &Value| {
        item["kind"] == "Pod" && item["metadata"]["namespace"].as_str() == Some(namespace)
    };
    let parts = [
        (surface::logs(scene).await?, "gloo-mesh", 15),
        (surface::objects(scene, holder)?, namespace, 40),
        (surface::metrics(scene).await?, "# TYPE", 10),
        (surface::insights(scene).await?, "insights", 1),
        (surface::kept(scene).await?, ":analyzer:", 1),
        (snapshots(scene, namespace, token).await?, namespace, 2),
        (dump(scene).await?, "gloonet-operator", 1),
    ];
    let mut all = Texts::new();
    for (texts, known, least) in parts {
        if texts.len() < least || !texts.values().any(|text| text.contains(known)) {
            bail!("{known} is in none of {:?}", texts.keys());
        }
        all.extend(texts);
    }
    Ok(all)
}

const ASKER: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: e2e-secrets}\nrules: [{nonResourceURLs: [\"/snapshots/*\"], verbs: [get]}]\n---\n";

/// Plants everything and looks; what is planted stays.
async fn look(scene: &Scene, ground: &Playground<'_>) -> Result<Vec<String>> {
    let (environment, pod, guess) = (planted("environment"), planted("pod"), planted("guess"));
    in_the_environment(scene, &environment.text).await?;
    in_a_pod(ground, scene, &pod.text).await?;
    scene.apply(&format!(
        "{ASKER}apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: e2e-secrets}}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: e2e-secrets}}\nsubjects: [{{kind: ServiceAccount, name: default, namespace: {}}}]\n",
        ground.namespace
    ))?;
    let asks = token(&scene.client, &ground.namespace, "default", None).await?;
    let (head, _) = surface::snapshot(scene, "/snapshots/input", &guess.text).await?;
    assert!(head.contains("401") || head.contains("403"), "{head}");
    tokio::time::sleep(LOOKED).await;
    let texts = shown(scene, &ground.namespace, &asks).await?;
    let mut canaries = of_the_platform(scene).await?;
    assert!(canaries.len() >= ENOUGH, "{} canaries", canaries.len());
    canaries.extend([
        environment,
        pod,
        guess,
        canary("the token of who asks", asks),
    ]);
    Ok(hits(&canaries, &texts))
}

#[tokio::test]
async fn no_secret_is_in_logs_status_events_metrics_snapshots_redis_or_a_dump() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let ground = Playground::start(&scene, "secrets").await?;
    let found = look(&scene, &ground).await;
    platform::change(&scene, json!({"telemetry": {"gateway": {"extra": null}}})).await?;
    for kind in ["clusterrole", "clusterrolebinding"] {
        scene.kubectl(&["delete", kind, "e2e-secrets", "--ignore-not-found"])?;
    }
    platform::settled(&scene, platform::HEALED).await?;
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), MESH);
    let gone = secrets.delete(ENVIRONMENT, &DeleteParams::default()).await;
    ignore_missing(gone)?;
    ground.end().await?;
    assert_eq!(found?, Vec::<String>::new());
    Ok(())
}
