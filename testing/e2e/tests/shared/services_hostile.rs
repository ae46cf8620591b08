//! Services of a tenant who names what is others': a kubelet's port, kube-dns' ClusterIP, the node itself, the cloud's metadata.

use anyhow::{Context, Result, bail, ensure};
use gloonet_e2e::{
    Scene,
    pods::{HTTP, Playground, Talker, UDP},
    wait::{Progress, until},
};
use serde_json::{Value, json};

/// As long as a datapath may take to follow a Service.
const FOLLOWED: std::time::Duration = std::time::Duration::from_secs(20);
/// A port of nodes at which nobody listens.
const FREE: u16 = 18_443;
/// Of every kubelet.
const KUBELET: u16 = 10_250;

/// A tenant's talker behind his Services, and one of somebody else who asks.
struct Tenancy<'a> {
    scene: &'a Scene,
    ground: Playground<'a>,
    web: Talker,
    asker: Talker,
    nodes: Vec<String>,
    dns: String,
}

impl<'a> Tenancy<'a> {
    async fn start(scene: &'a Scene) -> Result<Self> {
        let workers = scene.workers().await?;
        let ground = Playground::start(scene, "hostile").await?;
        let web = ground.talker("web-1", &workers[0]).await?;
        let asker = ground.talker("asker", &workers[1]).await?;
        ground.service("web").await?;
        let mut nodes = Vec::new();
        for node in &workers {
            nodes.push(scene.node_ip(node).await?);
        }
        let resolver = ground.exec(&asker, &["cat", "/etc/resolv.conf"])?;
        let words = resolver
            .lines()
            .filter_map(|line| line.strip_prefix("nameserver "));
        let dns = words
            .map(str::trim)
            .next()
            .context("a nameserver")?
            .to_owned();
        Ok(Self {
            scene,
            ground,
            web,
            asker,
            nodes,
            dns,
        })
    }

    fn apply(&self, mut object: Value) -> Result<String> {
        object["metadata"]["namespace"] = json!(self.ground.namespace);
        self.scene.apply(&object.to_string())
    }

    /// A Service before the tenant's talker that names addresses.
    fn name_addresses(&self, name: &str, addresses: &[String], ports: &Value) -> Result<()> {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": "web"}, "externalIPs": addresses, "ports": ports},
        });
        self.apply(service).map(drop)
    }

    /// A port of a hostile Service that is nobody else's answers: the datapath of the one who asks has the Service.
    async fn followed(&self, address: &str) -> Result<()> {
        let ground = &self.ground;
        let what = format!("the tenant's Service answers at {address}:{FREE}");
        until(&what, FOLLOWED, async || {
            let said = ground.ask(&self.asker, "http", address, FREE, "hostname");
            let how = format!("{said:?}");
            Ok(Progress::when(
                said.is_ok_and(|said| said == self.web.name),
                how,
            ))
        })
        .await
    }

    /// Kubelets and kube-dns are asked by those who need them, and by a pod, which is not to meet the tenant.
    fn others_are_served(&self) -> Result<()> {
        let ground = &self.ground;
        for talker in [&self.web, &self.asker] {
            let logs = ["logs", "--namespace", &ground.namespace, &talker.name];
            self.scene
                .kubectl(&logs)
                .context("kubelets answer the API server")?;
        }
        for node in &self.nodes {
            let said = ground.ask(&self.asker, "http", node, KUBELET, "hostname");
            let met = said.is_ok_and(|said| said.contains(&self.web.name));
            ensure!(
                !met,
                "a pod that asks the kubelet of {node} meets the tenant"
            );
        }
        let name = format!("web.{}.svc.cluster.local.", ground.namespace);
        let said = ground.ask(&self.asker, "http", &name, 80, "hostname");
        let said = said.context("kube-dns answers")?;
        ensure!(said == self.web.name, "{name} is {said}");
        Ok(())
    }

    fn delete(&self, services: &[&str]) -> Result<()> {
        let mut arguments = vec!["delete", "service", "--namespace", &self.ground.namespace];
        arguments.extend(services);
        self.scene.kubectl(&arguments).map(drop)
    }
}

#[tokio::test]
async fn a_tenant_who_names_a_kubelets_port_or_dns_gets_neither_and_both_serve_throughout_and_after()
-> Result<()> {
    let scene = Scene::open().await?;
    let tenancy = Tenancy::start(&scene).await?;
    let name = format!("web.{}.svc.cluster.local.", tenancy.ground.namespace);
    let ground = &tenancy.ground;
    ground
        .ask_patiently(&tenancy.asker, "http", &name, 80, "hostname")
        .await?;
    tenancy.others_are_served()?;
    let kubelets = json!([
        {"name": "kubelet", "port": KUBELET, "targetPort": HTTP}, {"name": "free", "port": FREE, "targetPort": HTTP}]);
    tenancy.name_addresses("kubelet", &tenancy.nodes, &kubelets)?;
    let dns = json!([
        {"name": "udp", "port": 53, "targetPort": UDP, "protocol": "UDP"}, {"name": "tcp", "port": 53, "targetPort": HTTP}]);
    tenancy.name_addresses("dns", std::slice::from_ref(&tenancy.dns), &dns)?;
    tenancy.followed(&tenancy.nodes[0]).await?;
    for _ in 0..10 {
        tenancy.others_are_served()?;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    tenancy.delete(&["kubelet", "dns"])?;
    let what = "the tenant's Service is gone";
    until(what, FOLLOWED, async || {
        let node = &tenancy.nodes[0];
        let said = tenancy
            .ground
            .ask(&tenancy.asker, "http", node, FREE, "hostname");
        Ok(Progress::when(said.is_err(), format!("{said:?}")))
    })
    .await?;
    tenancy.others_are_served()?;
    tenancy.ground.end().await
}

/// The API server takes no such slice, whoever writes it. What a datapath does with one is asked of the agent alone, where it is made.
#[tokio::test]
async fn a_slice_that_points_at_the_node_itself_or_at_metadata_leads_nowhere() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "hostile-slice").await?;
    let asker = ground.talker("asker", &workers[0]).await?;
    let namespace = &ground.namespace;
    for (name, address) in [("itself", "127.0.0.1"), ("metadata", "169.254.169.254")] {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"ports": [{"port": 80}]},
        });
        scene.apply(&service.to_string())?;
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": [address]}], "ports": [{"port": HTTP, "protocol": "TCP"}],
        });
        let Err(refusal) = scene.apply(&slice.to_string()) else {
            bail!("the API server took {address}");
        };
        let text = format!("{refusal:#}");
        ensure!(text.contains(address), "refused for another reason: {text}");
        let host = format!("{name}.{namespace}.svc.cluster.local.");
        until(&format!("{host} refuses"), FOLLOWED, async || {
            let said = ground.ask(&asker, "http", &host, 80, "hostname");
            let how = format!("{said:?}");
            Ok(Progress::when(how.contains("refused"), how))
        })
        .await?;
    }
    ground.end().await
}
