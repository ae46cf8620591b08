//! Things are broken, insights appear, things are mended, insights clear: through analyzer, collectors, Redis and engine.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use gloonet_e2e::{
    Scene, insights, platform,
    pods::{AGNHOST, Playground},
    wait::{Progress, until},
};

/// From the fault to its insight, and from the mend to the end of it.
const TOLD: Duration = Duration::from_mins(1);
/// A fault whose evidence is a metric waits for two scrapes and Prometheus' look at the gateway more.
const TOLD_BY_METRICS: Duration = Duration::from_secs(90);
/// The engine has looked at everything once.
const FIRST: Duration = Duration::from_mins(4);

/// One thing that is broken.
struct Fault {
    /// What is to appear, less the cluster: code and target.
    insight: (&'static str, String),
    limit: Duration,
}

fn fault(code: &'static str, target: impl Into<String>) -> Fault {
    Fault {
        insight: (code, target.into()),
        limit: TOLD,
    }
}

/// What can be broken by writing objects, and what each is to lead to.
fn objects(namespace: &str) -> (String, Vec<Fault>) {
    let policy = |name: &str, spec: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
        )
    };
    let cilium = |name: &str, spec: &str| {
        format!(
            "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
        )
    };
    let by = |kind: &str, name: &str| format!("{kind}/{namespace}/{name}");
    let text = [
        policy("nobody", "{podSelector: {matchLabels: {app: gone}}, policyTypes: [Ingress]}"),
        policy("all", "{podSelector: {matchLabels: {app: open}}, policyTypes: [Ingress], ingress: [{}]}"),
        policy("useless", "{podSelector: {matchLabels: {app: open}}, policyTypes: [Ingress]}"),
        cilium("world", "{endpointSelector: {matchLabels: {app: open}}, ingress: [{fromEntities: [world]}]}"),
        cilium("nodes", "{endpointSelector: {matchLabels: {app: open}}, ingress: [{fromEntities: [host]}]}"),
        cilium("unsupported", "{endpointSelector: {matchLabels: {app: open}}, egress: [{toFQDNs: [{matchName: a.example}]}]}"),
        format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: e2e-insights}}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}\nsubjects: [{{kind: ServiceAccount, name: runner, namespace: {namespace}}}]\n---\n"),
        format!("apiVersion: admin.gloo.solo.io/v2\nkind: WorkspaceSettings\nmetadata: {{name: open, namespace: {namespace}}}\nspec: {{options: {{serviceIsolation: {{enabled: false}}}}}}\n---\n"),
        "apiVersion: admin.gloo.solo.io/v2\nkind: KubernetesCluster\nmetadata: {name: e2e-ghost, namespace: gloo-mesh}\nspec: {clusterDomain: cluster.local}\n---\n".to_owned(),
        "apiVersion: v1\nkind: Service\nmetadata: {name: hubble-ui, namespace: kube-system}\nspec: {type: NodePort, selector: {k8s-app: hubble-ui}, ports: [{port: 80}]}\n---\n".to_owned(),
        format!("apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: kube-proxy, namespace: kube-system}}\nspec:\n  selector: {{matchLabels: {{k8s-app: kube-proxy}}}}\n  template:\n    metadata: {{labels: {{k8s-app: kube-proxy}}}}\n    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: main, image: {AGNHOST}, imagePullPolicy: IfNotPresent, args: [pause]}}]}}\n---\n"),
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: proxy, namespace: {namespace}, labels: {{app: open}}}}\nspec: {{terminationGracePeriodSeconds: 0, containers: [{{name: main, image: lab.invalid/envoy:none}}]}}\n---\n"),
    ];
    let mut ghost = fault("HLT0303", "Cluster");
    ghost.limit = TOLD_BY_METRICS;
    let faults = vec![
        fault("BP0103", by("NetworkPolicy", "nobody")),
        fault("SEC0105", by("NetworkPolicy", "all")),
        fault("BP0104", by("NetworkPolicy", "useless")),
        fault("SEC0104", by("CiliumNetworkPolicy", "world")),
        fault("SEC0106", by("CiliumNetworkPolicy", "nodes")),
        fault("CFG0108", by("CiliumNetworkPolicy", "unsupported")),
        fault("SEC0102", format!("Namespace/{namespace}")),
        fault("SEC0103", format!("Namespace/{namespace}")),
        fault("SEC0304", "ClusterRoleBinding/e2e-insights"),
        fault("SEC0305", by("WorkspaceSettings", "open")),
        ghost,
        fault("SEC0108", "Service/kube-system/hubble-ui"),
        fault("CFG0104", "DaemonSet/kube-system/kube-proxy"),
        fault("HLT0401", by("Pod", "proxy")),
    ];
    (text.concat(), faults)
}

/// Waits until each fault's insight is in `state`, counted from `begun`; says how long each took.
async fn all(
    scene: &Scene,
    faults: &[Fault],
    state: &str,
    begun: Instant,
) -> Result<BTreeMap<String, Duration>> {
    let took = RefCell::new(BTreeMap::new());
    let longest = faults.iter().map(|fault| fault.limit).max();
    let what = format!("{} insights are {state}", faults.len());
    until(&what, longest.context("no fault")?, async || {
        let overview = insights::ask(scene).await?;
        let mut missing = Vec::new();
        for fault in faults {
            let (code, target) = &fault.insight;
            let is = |(id, at): (&String, &String)| {
                id.starts_with(&format!("{code}/"))
                    && id.ends_with(&format!("/{target}"))
                    && at == state
            };
            if overview.states.iter().any(is) {
                let name = format!("{code} {target}");
                took.borrow_mut()
                    .entry(name)
                    .or_insert_with(|| begun.elapsed());
            } else {
                missing.push(format!("{code} {target}"));
            }
        }
        Ok(Progress::when(missing.is_empty(), missing.join(", ")))
    })
    .await?;
    let took = took.into_inner();
    for fault in faults {
        let name = format!("{} {}", fault.insight.0, fault.insight.1);
        let at = took.get(&name).copied().unwrap_or_default();
        if at > fault.limit {
            bail!("{name} was {state} only after {} s", at.as_secs());
        }
    }
    Ok(took)
}

fn print(state: &str, took: &BTreeMap<String, Duration>) {
    for (name, time) in took {
        println!("{name}: {state} after {} s", time.as_secs());
    }
}

/// Nodes and the GlooNetwork are broken by hand; each is mended at the end, whatever happens in between.
fn by_hand(scene: &Scene, node: &str, other: &str) -> Result<Vec<Fault>> {
    scene.kubectl(&[
        "patch",
        "gloonetwork",
        "default",
        "--type=merge",
        "--patch",
        r#"{"spec": {"pause": {"until": "2099-01-01T00:00:00Z", "reason": "insights are tested"}}}"#,
    ])?;
    scene.in_node(
        other,
        &["sh", "-c", "echo '{}' > /etc/cni/net.d/00-e2e.conf"],
    )?;
    scene.in_node(node, &["pkill", "-STOP", "-x", "cilium-agent"])?;
    Ok(vec![
        fault("BP0112", "GlooNetwork/default"),
        fault("CFG0102", format!("Node/{other}")),
        fault("HLT0101", format!("Node/{node}")),
    ])
}

fn mend(scene: &Scene, node: &str, other: &str) -> Result<()> {
    scene.in_node(node, &["pkill", "-CONT", "-x", "cilium-agent"])?;
    scene.in_node(other, &["rm", "-f", "/etc/cni/net.d/00-e2e.conf"])?;
    let free = r#"{"spec": {"pause": null}}"#;
    let arguments = [
        "patch",
        "gloonetwork",
        "default",
        "--type=merge",
        "--patch",
        free,
    ];
    scene.kubectl(&arguments).map(drop)
}

#[tokio::test]
async fn what_is_broken_is_told_within_a_minute_and_cleared_within_a_minute_of_its_mend()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let playground = Playground::start(&scene, "insights").await?;
    let workers = scene.workers().await?;
    let [other, .., node] = workers.as_slice() else {
        bail!("two workers are needed, there are {workers:?}");
    };
    playground.talker("bare", node).await?;
    playground.talker("open", node).await?;
    let (text, mut faults) = objects(&playground.namespace);
    let begun = Instant::now();
    scene.apply(&text)?;
    let broken = by_hand(&scene, node, other);
    let told = match broken {
        Ok(more) => {
            faults.extend(more);
            all(&scene, &faults, "active", begun).await
        }
        Err(error) => Err(error),
    };
    let mended = mend(&scene, node, other);
    let cleared_from = Instant::now();
    let gone = [
        "delete",
        "--ignore-not-found",
        "--wait=false",
        "--namespace=kube-system",
        "service/hubble-ui",
        "daemonset/kube-proxy",
    ];
    scene.kubectl(&gone)?;
    scene.kubectl(&[
        "delete",
        "--ignore-not-found",
        "clusterrolebinding",
        "e2e-insights",
    ])?;
    scene.kubectl(&[
        "delete",
        "--ignore-not-found",
        "--namespace=gloo-mesh",
        "kubernetescluster",
        "e2e-ghost",
    ])?;
    playground.end().await?;
    mended?;
    print("told", &told?);
    print(
        "cleared",
        &all(&scene, &faults, "cleared", cleared_from).await?,
    );
    platform::settled(&scene, platform::HEALED).await.map(drop)
}

/// Of a healthy lab nothing is unknown that it has evidence for, and nothing of severity ERROR stands.
#[tokio::test]
async fn of_a_healthy_cluster_every_rule_can_be_judged_and_no_error_stands() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    until("every rule is judged", FIRST, async || {
        let overview = insights::ask(&scene).await?;
        let unknown = overview.document["unknown"].to_string();
        let errors: Vec<String> = overview.document["insights"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["severity"] == "ERROR" && one["state"]["is"] == "active")
            .map(|one| format!("{}: {}", one["id"], one["summary"]))
            .collect();
        let how = format!("unknown {unknown}, errors {errors:?}");
        Ok(Progress::when(unknown == "[]" && errors.is_empty(), how))
    })
    .await
}
