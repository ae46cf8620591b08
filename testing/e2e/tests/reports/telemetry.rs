//! Parts of the users' own in the telemetry pipeline, and a gateway that cannot be reached for a while.

use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_api::status::ComponentHealth;
use gloonet_e2e::{
    Scene, platform,
    pods::Playground,
    surface,
    wait::{Progress, until},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

const GATEWAY: &str = "telemetry-gateway";
const COLLECTORS: &str = "telemetry-collectors";
/// A pod that fails twice, and a look of the operator.
const TOLD: Duration = Duration::from_mins(1);
/// Collectors follow one after the other, and the gateway shows a series for two minutes after its last sample.
const RELAYED: Duration = Duration::from_mins(6);
/// As long as the issue asks for.
const AWAY: Duration = Duration::from_mins(1);

/// The pods of one component when those of an earlier template are gone.
async fn settled(scene: &Scene, component: &str) -> Result<Vec<(String, platform::PodMark)>> {
    let status = platform::settled(scene, platform::HEALED).await?;
    let desired = platform::row(&status, component).map(|row| row.desired);
    let what = format!("{component} has as many pods as it shall have");
    until(&what, TOLD, async || {
        let pods = of(scene, component).await?;
        let alone = i32::try_from(pods.len()).ok() == desired;
        let how = format!("{pods:?}");
        Ok(Progress::of(alone.then_some(pods), how))
    })
    .await
}

/// The pods of one component, by name, with uid and restarts.
async fn of(scene: &Scene, component: &str) -> Result<Vec<(String, platform::PodMark)>> {
    let pods = platform::pods(scene).await?;
    Ok(pods
        .into_iter()
        .filter(|(_, mark)| mark.component == component)
        .collect())
}

async fn says(scene: &Scene, component: &str, words: &str) -> Result<()> {
    until(&format!("{component} says {words}"), TOLD, async || {
        let status = platform::status(scene).await?;
        let row = platform::row(&status, component).context("its row")?;
        let said = row.health == ComponentHealth::Degraded && row.message.contains(words);
        Ok(Progress::when(
            said,
            format!("{:?}: {}", row.health, row.message),
        ))
    })
    .await
}

#[tokio::test]
async fn what_the_collector_itself_refuses_stops_at_the_first_pod_and_is_told_in_its_words()
-> Result<()> {
    let scene = Scene::open().await?;
    let wrong =
        json!({"exporters": {"nonsense/mine": {}}, "alsoExport": {"metrics": ["nonsense/mine"]}});
    for (component, place) in [(GATEWAY, "gateway"), (COLLECTORS, "collectors")] {
        let before = settled(&scene, component).await?;
        platform::change(&scene, json!({"telemetry": {place: {"extra": wrong}}})).await?;
        let told = says(&scene, component, "nonsense").await;
        let meanwhile = of(&scene, component).await?;
        platform::change(&scene, json!({"telemetry": {place: {"extra": null}}})).await?;
        told?;
        for pod in &before {
            assert!(
                meanwhile.contains(pod),
                "{component}: {pod:?} did not go on"
            );
        }
        // The refused pod ends after its component is healthy again.
        settled(&scene, component).await?;
    }
    Ok(())
}

/// Another Prometheus, to be written to.
async fn store(scene: &Scene, ground: &Playground<'_>) -> Result<String> {
    let deployments: Api<Deployment> = Api::namespaced(scene.client.clone(), "gloo-mesh");
    let ours = deployments.get("prometheus-server").await?;
    let template = ours.spec.context("a spec")?.template.spec;
    let container = &template.context("a pod")?.containers[0];
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "store"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": container.image, "command": container.command, "imagePullPolicy": "IfNotPresent",
                "args": ["--config.file=/dev/null", "--storage.tsdb.path=/data", "--web.enable-remote-write-receiver"],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
            }],
            "volumes": [{"name": "data", "emptyDir": {}}],
        },
    }))?;
    let made = ground.pods().create(&PostParams::default(), &pod).await;
    made.context("make a pod")?;
    Ok(ground.ready("store").await?.ip.to_string())
}

/// The answer of a pod's HTTP port, through the API server.
fn get(scene: &Scene, namespace: &str, pod: &str, rest: &str) -> Result<String> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{rest}");
    scene.kubectl(&["get", "--raw", &path])
}

#[tokio::test]
async fn the_metrics_of_the_cluster_go_to_a_remote_write_of_the_users_too() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let ground = Playground::start(&scene, "remote-write").await?;
    let address = store(&scene, &ground).await?;
    let endpoint = format!("http://{address}:9090/api/v1/write");
    let extra = json!({
        "exporters": {"prometheusremotewrite/mine": {"endpoint": endpoint, "resource_to_telemetry_conversion": {"enabled": true}}},
        "alsoExport": {"metrics": ["prometheusremotewrite/mine"]},
    });
    platform::change(&scene, json!({"telemetry": {"gateway": {"extra": extra}}})).await?;
    let query = "9090/proxy/api/v1/query?query=count(cilium_version)%20by%20(cluster_name)";
    let what = "every node's agent in the users' store";
    let written = until(what, platform::HEALED, async || {
        let answer = get(&scene, &ground.namespace, "store", query)?;
        let answer: Value = serde_json::from_str(&answer)?;
        let sample = &answer["data"]["result"][0];
        let all = sample["value"][1].as_str() == Some("3")
            && sample["metric"]["cluster_name"].is_string();
        Ok(Progress::when(all, answer.to_string()))
    })
    .await;
    platform::change(&scene, json!({"telemetry": {"gateway": {"extra": null}}})).await?;
    written?;
    platform::settled(&scene, platform::HEALED).await?;
    ground.end().await
}

/// Of all collectors together: what waits (bytes), what was given up (points).
#[derive(Debug, Default)]
struct Queues {
    waiting: f64,
    lost: f64,
}

fn queues(scene: &Scene, collectors: &[(String, platform::PodMark)]) -> Result<Queues> {
    let mut queues = Queues::default();
    for (pod, _) in collectors {
        let (namespace, name) = pod.split_once('/').context("namespace and name")?;
        let page = get(scene, namespace, name, "8888/proxy/metrics")?;
        for line in page.lines() {
            let number = || {
                line.rsplit(' ')
                    .next()
                    .and_then(|text| text.parse::<f64>().ok())
            };
            if line.starts_with("otelcol_exporter_queue_size{") {
                queues.waiting += number().context("a queue's size")?;
            } else if line.starts_with("otelcol_exporter_send_failed_")
                || line.starts_with("otelcol_exporter_enqueue_failed_")
            {
                queues.lost += number().context("a count of losses")?;
            }
        }
    }
    Ok(queues)
}

#[tokio::test]
async fn while_the_gateway_is_away_for_a_minute_collectors_keep_everything_and_send_it_after()
-> Result<()> {
    let scene = Scene::open().await?;
    let collectors = settled(&scene, COLLECTORS).await?;
    let before = queues(&scene, &collectors)?;
    scene.apply(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: e2e-gateway-away, namespace: gloo-mesh}\nspec:\n  endpointSelector: {matchLabels: {app: gloo-telemetry-gateway}}\n  ingressDeny: [{fromEntities: [all], toPorts: [{ports: [{port: \"4317\", protocol: TCP}]}]}]\n",
    )?;
    tokio::time::sleep(AWAY).await;
    let meanwhile = queues(&scene, &collectors);
    scene.kubectl(&[
        "delete",
        "ciliumnetworkpolicy",
        "e2e-gateway-away",
        "--namespace",
        "gloo-mesh",
    ])?;
    let meanwhile = meanwhile?;
    assert!(
        meanwhile.waiting > before.waiting + 10_000.0,
        "nothing waited, so the gateway was not away: {before:?} {meanwhile:?}"
    );
    until("what waited is sent", platform::HEALED, async || {
        let now = queues(&scene, &collectors)?;
        Ok(Progress::when(
            now.waiting < meanwhile.waiting / 10.0,
            format!("{now:?}"),
        ))
    })
    .await?;
    let after = queues(&scene, &collectors)?;
    assert!(
        after.lost <= before.lost,
        "points were given up: {before:?} {after:?}"
    );
    platform::settled(&scene, platform::HEALED).await.map(drop)
}

/// The number of nodes that have a metric which nothing of ours asks for, as the platform's Prometheus says.
fn nodes_with_the_rest(scene: &Scene) -> Result<Value> {
    let path = "/api/v1/namespaces/gloo-mesh/services/prometheus-server:http/proxy/api/v1/query";
    let query = "count(count%20by%20(node)%20(cilium_node_health_connectivity_status%7Bjob%3D%22gloo-telemetry-relayed%22%7D))";
    let answer = scene.kubectl(&["get", "--raw", &format!("{path}?query={query}")])?;
    let answer: Value = serde_json::from_str(&answer)?;
    Ok(answer["data"]["result"][0]["value"][1].clone())
}

async fn rest_is_there(scene: &Scene, wanted: Value) -> Result<()> {
    let what = format!("the rest of the metrics is of {wanted} nodes");
    until(&what, RELAYED, async || {
        let nodes = nodes_with_the_rest(scene)?;
        Ok(Progress::when(nodes == wanted, nodes.to_string()))
    })
    .await
}

async fn flows_are_there(scene: &Scene) -> Result<()> {
    let cluster = platform::get(scene).await?.spec.cluster_name;
    for node in scene.nodes().await? {
        let stream = format!("gloonet:v1:logs:{cluster}:cilium_flows:{node}");
        until(&stream, platform::HEALED, async || {
            let newest = format!("XREVRANGE {stream} + - COUNT 1");
            let said = surface::redis(scene, &[newest]).await?;
            let parts = ["\"flow\"", "\"verdict\"", "\"source\"", "\"destination\""];
            let whole = parts
                .iter()
                .all(|part| said.replace('\\', "").contains(part));
            Ok(Progress::when(whole, said))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn flows_and_the_rest_of_the_metrics_come_while_their_pipelines_are_on() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    assert_eq!(nodes_with_the_rest(&scene)?, Value::Null);
    let switch = |state: Value| {
        let pipelines = json!({"metricsCilium": state, "logsCiliumFlows": state});
        json!({"telemetry": {"collectors": {"pipelines": pipelines}}})
    };
    platform::change(&scene, switch(json!("Enabled"))).await?;
    let settled = platform::settled(&scene, platform::HEALED).await;
    let came = rest_is_there(&scene, json!("3")).await;
    let flows = flows_are_there(&scene).await;
    platform::change(&scene, switch(Value::Null)).await?;
    settled?;
    came?;
    flows?;
    // The gateway shows a series for two minutes after the last sample.
    rest_is_there(&scene, Value::Null).await?;
    platform::settled(&scene, platform::HEALED).await?;
    let level = [
        "get",
        "namespace",
        "gloo-mesh",
        "--output",
        "jsonpath={.metadata.labels}",
    ];
    let labels = scene.kubectl(&level)?;
    assert!(
        labels.contains("\"pod-security.kubernetes.io/enforce\":\"restricted\""),
        "{labels}"
    );
    Ok(())
}
