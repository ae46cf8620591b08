//! ADD: address, interface, datapath; returns when the pod's first packet would be carried, or leaves nothing behind.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use datapath::link::{self, PodLink, PodLinkSpec};

use crate::agent::Agent;
use crate::environment::Attachment;
use crate::error::Failure;
use crate::model::{AddressPair, DaemonConfigurationStatus, EndpointChangeRequest};
use crate::netconf::NetConf;
use crate::result::{Made, Side};
use crate::verb::{check_namespace, del, host_interface};

/// Long enough for an agent that is being replaced.
const PATIENCE: Duration = Duration::from_secs(30);
/// The whole call. The kubelet gives its runtime four minutes.
const LIMIT: Duration = Duration::from_secs(100);

/// What has to be given back if a later step fails.
#[derive(Debug, Default)]
struct Progress {
    address: Option<Ipv4Addr>,
    linked: bool,
    endpoint: bool,
}

/// # Errors
/// Any but 50. Whatever was made is undone before it returns.
pub async fn add(conf: &NetConf, attachment: &Attachment) -> Result<Made, Failure> {
    let netns = attachment.netns.as_deref().unwrap_or(Path::new(""));
    check_namespace(netns)?;
    let mut agent = Agent::connect(&conf.agent_socket, PATIENCE).await?;
    let mut progress = Progress::default();
    let outcome = tokio::time::timeout(LIMIT, steps(&mut agent, attachment, netns, &mut progress))
        .await
        .unwrap_or(Err(Failure::Deadline("ADD", LIMIT.as_secs())));
    if outcome.is_err() {
        undo(conf, attachment, &progress).await;
    }
    outcome
}

async fn steps(
    agent: &mut Agent,
    attachment: &Attachment,
    netns: &Path,
    progress: &mut Progress,
) -> Result<Made, Failure> {
    let settings = agent.configuration().await?.status;
    let lease = agent.lease_address(attachment.pod.as_ref()).await?.address;
    let address = lease.ipv4.ok_or_else(|| Failure::Refused {
        request: "POST /ipam",
        message: "the agent gave no IPv4 address".to_owned(),
    })?;
    progress.address = Some(address);
    let host_name = host_interface(&attachment.container_id, &attachment.ifname);
    let created = create(attachment, netns, &host_name, address, &settings)?;
    progress.linked = true;
    progress.endpoint = true;
    agent
        .put_endpoint(&request(attachment, netns, &host_name, lease, &created))
        .await?;
    link::settle_pod_link(netns, &attachment.ifname).map_err(|source| Failure::Link {
        doing: "bringing up the pod's interface",
        source,
    })?;
    Ok(made(
        attachment, netns, host_name, address, &settings, &created,
    ))
}

fn create(
    attachment: &Attachment,
    netns: &Path,
    host_name: &str,
    address: Ipv4Addr,
    settings: &DaemonConfigurationStatus,
) -> Result<PodLink, Failure> {
    let wanted = PodLinkSpec {
        netns,
        container_name: &attachment.ifname,
        host_name,
        ip: address,
        router_ip: settings.addressing.ipv4.ip,
        mtu: settings.device_mtu,
    };
    link::create_pod_link(&wanted).map_err(|source| {
        if source.errno() == Some(nix::errno::Errno::EEXIST as i32) {
            return Failure::InterfaceExists {
                name: attachment.ifname.clone(),
                netns: netns.display().to_string(),
            };
        }
        Failure::Link {
            doing: "making the pod's interface",
            source,
        }
    })
}

fn request(
    attachment: &Attachment,
    netns: &Path,
    host_name: &str,
    lease: AddressPair,
    created: &PodLink,
) -> EndpointChangeRequest {
    let pod = attachment.pod.clone();
    let (k8s_namespace, k8s_pod_name, k8s_uid) = pod
        .map(|pod| (pod.namespace, pod.name, pod.uid))
        .unwrap_or_default();
    EndpointChangeRequest {
        addressing: lease,
        container_id: attachment.container_id.clone(),
        container_interface_name: attachment.ifname.clone(),
        container_netns_path: netns.display().to_string(),
        host_mac: created.host_mac.to_string(),
        interface_index: created.host_ifindex,
        interface_name: host_name.to_owned(),
        k8s_namespace,
        k8s_pod_name,
        k8s_uid,
        mac: created.mac.to_string(),
        sync_build_endpoint: true,
    }
}

fn made(
    attachment: &Attachment,
    netns: &Path,
    host_name: String,
    address: Ipv4Addr,
    settings: &DaemonConfigurationStatus,
    created: &PodLink,
) -> Made {
    let side = |name: String, mac: String| Side {
        name,
        mac,
        mtu: settings.device_mtu,
    };
    Made {
        host: side(host_name, created.host_mac.to_string()),
        container: side(attachment.ifname.clone(), created.mac.to_string()),
        sandbox: netns.display().to_string(),
        address,
        gateway: settings.addressing.ipv4.ip,
        route_mtu: settings.route_mtu,
    }
}

/// Best effort on a connection of its own, since the first may be what failed. What it cannot reach ends by itself:
/// the lease runs out, and the kubelet calls DEL for a sandbox whose ADD failed.
async fn undo(conf: &NetConf, attachment: &Attachment, progress: &Progress) {
    if let Ok(mut agent) = Agent::connect(&conf.agent_socket, Duration::from_secs(1)).await {
        if progress.endpoint {
            let _ = agent
                .delete_endpoint(&attachment.container_id, &attachment.ifname)
                .await;
        }
        if let Some(address) = progress.address {
            let _ = agent.release_address(address).await;
        }
    }
    if progress.linked {
        let _ = del::unlink(&host_interface(
            &attachment.container_id,
            &attachment.ifname,
        ));
    }
}
