//! CiliumNetworkPolicy: what it has beyond NetworkPolicy, and what it refuses by name.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene,
    pods::{self, HTTP, Playground, Talker},
    policy::{Cell, EFFECTIVE, Reach, dropped, open},
    wait::{Progress, until},
};
use serde_json::Value;

#[tokio::test]
async fn a_deny_beats_every_allow() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "cnp-deny").await?;
    let server = ground.talker("server", &workers[0]).await?;
    let friend = ground.talker("friend", &workers[1]).await?;
    let foe = ground.talker("foe", &workers[1]).await?;
    ground.network_policy("allow", "{podSelector: {}, ingress: [{}]}")?;
    ground.cilium_policy(
        "deny",
        "{endpointSelector: {matchLabels: {app: server}}, ingressDeny: [{fromEndpoints: [{matchLabels: {app: foe}}]}]}",
    )?;
    let cells = [
        open(&friend, &server),
        dropped(&foe, &server),
        open(&foe, &friend),
    ];
    ground.holds("the foe is shut out", &cells).await?;
    ground.end().await
}

#[tokio::test]
async fn entities_mean_pods_nodes_and_the_world_and_nothing_else() -> Result<()> {
    let _hosts = pods::hosts().await;
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "cnp-entity").await?;
    let client = ground.talker("client", &workers[0]).await?;
    let pod = ground.talker("pod", &workers[1]).await?;
    let own = ground.on_host("host-own", &workers[0]).await?;
    let other = ground.on_host("host-other", &workers[1]).await?;
    // Entity → pod, own node, other node.
    let cases = [
        ("host", [false, true, false]),
        ("remote-node", [false, false, true]),
        ("cluster", [true, true, true]),
        ("world", [false, false, false]),
        ("none", [false, false, false]),
        ("all", [true, true, true]),
    ];
    for (entity, reached) in cases {
        ground.cilium_policy(
            "entity",
            &format!("{{endpointSelector: {{matchLabels: {{app: client}}}}, egress: [{{toEntities: [{entity}]}}]}}"),
        )?;
        let targets = [(pod.ip, HTTP), (own.ip, 18_080), (other.ip, 18_080)];
        let cells: Vec<Cell> = targets
            .iter()
            .zip(reached)
            .map(|((ip, port), reached)| {
                let want = if reached { Reach::Open } else { Reach::Dropped };
                Cell::tcp(&client, ip, *port, want)
            })
            .collect();
        ground
            .holds(&format!("toEntities: {entity}"), &cells)
            .await?;
    }
    ground.end().await
}

/// Cilium's meaning is kept here: a CIDR of a CiliumNetworkPolicy is about what lies beyond the cluster.
#[tokio::test]
async fn a_cidr_does_not_mean_pods() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "cnp-cidr").await?;
    let client = ground.talker("client", &workers[0]).await?;
    let pod = ground.talker("pod", &workers[1]).await?;
    let spec = |cidr: &str| {
        format!(
            "{{endpointSelector: {{matchLabels: {{app: client}}}}, egress: [{{toCIDR: [{cidr}]}}]}}"
        )
    };
    ground.cilium_policy("cidr", &spec("0.0.0.0/0"))?;
    ground
        .holds("all addresses, no pod", &[dropped(&client, &pod)])
        .await?;
    ground.delete_policy("ciliumnetworkpolicy/cidr")?;
    ground.holds("without it", &[open(&client, &pod)]).await?;
    ground.end().await
}

#[tokio::test]
async fn an_echo_request_may_pass_where_tcp_may_not() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "cnp-icmp").await?;
    let server = ground.talker("server", &workers[0]).await?;
    let client = ground.talker("client", &workers[1]).await?;
    let ip = server.ip.to_string();
    let ping = || {
        ground
            .exec(&client, &["ping", "-c", "1", "-W", "1", &ip])
            .is_ok()
    };
    assert!(ping(), "no echo without a policy");
    let rule = |rest: &str| {
        format!("{{endpointSelector: {{matchLabels: {{app: server}}}}, ingress: [{rest}]}}")
    };
    ground.cilium_policy(
        "icmp",
        &rule("{icmps: [{fields: [{family: IPv4, type: 8}]}]}"),
    )?;
    ground
        .holds("TCP is closed", &[dropped(&client, &server)])
        .await?;
    assert!(ping(), "the allowed echo request was dropped");
    ground.cilium_policy(
        "icmp",
        &rule("{icmps: [{fields: [{family: IPv4, type: 13}]}]}"),
    )?;
    until(
        "another type of message is allowed, echo is not",
        EFFECTIVE,
        async || Ok(Progress::when(!ping(), "echo passes")),
    )
    .await?;
    ground.end().await
}

/// The condition Valid of a CiliumNetworkPolicy: status and message.
fn validity(scene: &Scene, ground: &Playground<'_>, name: &str) -> Result<(String, String)> {
    let arguments = [
        "get",
        "--namespace",
        &ground.namespace,
        "ciliumnetworkpolicy",
        name,
        "-o",
        "json",
    ];
    let policy: Value = serde_json::from_str(&scene.kubectl(&arguments)?)?;
    let conditions = policy["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let valid = conditions.iter().find(|c| c["type"] == "Valid");
    let valid = valid.with_context(|| format!("no condition Valid in {}", policy["status"]))?;
    let text = |key: &str| valid[key].as_str().unwrap_or_default().to_owned();
    Ok((text("status"), text("message")))
}

#[tokio::test]
async fn a_field_we_do_not_enforce_is_refused_by_name_and_opens_nothing() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "cnp-refused").await?;
    let server = ground.talker("server", &workers[0]).await?;
    let client = ground.talker("client", &workers[1]).await?;
    ground.network_policy("deny", "{podSelector: {}, policyTypes: [Ingress]}")?;
    ground
        .holds("closed at first", &[dropped(&client, &server)])
        .await?;
    let cases = [
        (
            "fqdn",
            "egress: [{toFQDNs: [{matchName: example.org}]}]",
            "toFQDNs",
        ),
        (
            "http",
            "ingress: [{toPorts: [{ports: [{port: \"8080\", protocol: TCP}], rules: {http: [{method: GET}]}}]}]",
            "rules",
        ),
    ];
    for (name, rule, field) in cases {
        let selector = "endpointSelector: {matchLabels: {app: server}}";
        ground.cilium_policy(name, &format!("{{{selector}, {rule}}}"))?;
        let said = until("the policy is judged", EFFECTIVE, async || {
            Ok(Progress::Done(validity(&scene, &ground, name)?))
        })
        .await?;
        assert_eq!(said.0, "False", "{name}: {}", said.1);
        assert!(said.1.contains(field), "{field} is not named: {}", said.1);
    }
    ground
        .holds("still closed", &[dropped(&client, &server)])
        .await?;
    ground.cilium_policy(
        "good",
        "{endpointSelector: {}, ingress: [{fromEndpoints: [{}]}]}",
    )?;
    ground
        .holds("a good one still counts", &[open(&client, &server)])
        .await?;
    // The operator says so, in its own time.
    until("the good one is said to be valid", EFFECTIVE, async || {
        let said = validity(&scene, &ground, "good")?;
        Ok(Progress::when(said.0 == "True", format!("{said:?}")))
    })
    .await?;
    ground.end().await
}

/// Waits until upstream's own client has seen, on the server's node, a drop at the server for that reason and because of exactly these
/// policies. It must have been built: `./dev programs hubble`.
async fn dropped_because_of(
    ground: &Playground<'_>,
    scene: &Scene,
    (client, server): (&Talker, &Talker),
    (reason, policies): (&str, &[&str]),
) -> Result<()> {
    let pod = format!("{}/{}", ground.namespace, server.name);
    let words = "hubble observe --server unix:///var/run/cilium/hubble.sock --verdict DROPPED --last 20 --output json --to-pod";
    let argv: Vec<&str> = words.split(' ').chain([pod.as_str()]).collect();
    let address = format!("{}:{HTTP}", server.ip);
    let knock = ["/agnhost", "connect", &address, "--timeout=500ms"];
    let what = format!("a drop for {reason} because of {policies:?}");
    until(&what, Duration::from_secs(15), async || {
        // What was dropped under earlier policies has their names.
        if ground.exec(client, &knock).is_ok() {
            return Ok(Progress::NotYet("it was let in".to_owned()));
        }
        let said = scene.in_node(&server.node, &argv)?;
        let lines = said.lines().map(serde_json::from_str::<Value>);
        let named = lines.flatten().any(|line| {
            let flow = &line["flow"];
            let because = flow["ingress_denied_by"].as_array().into_iter().flatten();
            let ours = because.filter(|policy| policy["namespace"] == *ground.namespace);
            let names: BTreeSet<_> = ours.filter_map(|policy| policy["name"].as_str()).collect();
            flow["drop_reason_desc"] == reason && names.iter().eq(policies)
        });
        Ok(Progress::when(named, said))
    })
    .await
}

#[tokio::test]
async fn hubble_names_the_policies_that_dropped_a_packet() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "cnp-hubble").await?;
    let server = ground.talker("server", &workers[0]).await?;
    let client = ground.talker("client", &workers[1]).await?;
    let ends = (&client, &server);
    ground.cilium_policy(
        "no-clients",
        "{endpointSelector: {matchLabels: {app: server}}, ingressDeny: [{fromEndpoints: [{matchLabels: {app: client}}]}]}",
    )?;
    dropped_because_of(&ground, &scene, ends, ("POLICY_DENY", &["no-clients"])).await?;
    // Nothing denies by itself now: two policies isolate the server, and neither lets the client in.
    ground.network_policy(
        "friends",
        "{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}",
    )?;
    ground.cilium_policy(
        "kin",
        "{endpointSelector: {matchLabels: {app: server}}, ingress: [{fromEndpoints: [{matchLabels: {app: kin}}]}]}",
    )?;
    ground.delete_policy("ciliumnetworkpolicy/no-clients")?;
    dropped_because_of(
        &ground,
        &scene,
        ends,
        ("POLICY_DENIED", &["friends", "kin"]),
    )
    .await?;
    ground.end().await
}
