//! CHECK: is the attachment still as ADD left it?

use std::path::Path;
use std::time::Duration;

use datapath::link::{self, Netlink};

use crate::agent::Agent;
use crate::environment::Attachment;
use crate::error::Failure;
use crate::model::EndpointHealth;
use crate::netconf::NetConf;
use crate::result::Expected;
use crate::verb::check_namespace;

const PATIENCE: Duration = Duration::from_secs(5);

/// # Errors
/// Code 103 with what differs, 11 without an agent.
pub async fn check(conf: &NetConf, attachment: &Attachment) -> Result<(), Failure> {
    let netns = attachment.netns.as_deref().unwrap_or(Path::new(""));
    check_namespace(netns)?;
    let expected = conf
        .prev_result
        .as_ref()
        .map(|result| Expected::from_prev_result(result, &attachment.ifname))
        .unwrap_or_default();
    check_agent(conf, attachment).await?;
    check_links(netns, &attachment.ifname, &expected)
}

async fn check_agent(conf: &NetConf, attachment: &Attachment) -> Result<(), Failure> {
    let mut agent = Agent::connect(&conf.agent_socket, PATIENCE).await?;
    let health = agent
        .endpoint_health(&attachment.container_id, &attachment.ifname)
        .await?;
    match health {
        None => failed("the agent's endpoint (it does not know this container)"),
        Some(health) if health.overall_health == EndpointHealth::FAILURE => {
            failed("the endpoint's datapath")
        }
        Some(_) => Ok(()),
    }
}

fn check_links(netns: &Path, ifname: &str, expected: &Expected) -> Result<(), Failure> {
    let Some(report) = link::inspect_pod_link(netns, ifname).map_err(reading)? else {
        return failed(&format!(
            "interface {ifname} of the container (it is missing)"
        ));
    };
    let mac = report.link.mac.to_string();
    let same_mac = |wanted: &String| mac.eq_ignore_ascii_case(wanted);
    let missing = expected
        .addresses
        .iter()
        .find(|wanted| !report.addresses.iter().any(|held| held.addr() == **wanted));
    if !report.link.up {
        return failed(&format!("interface {ifname} of the container (it is down)"));
    }
    if !expected.container_mac.as_ref().is_none_or(same_mac) {
        return failed(&format!("the hardware address of interface {ifname}"));
    }
    if let Some(missing) = missing {
        return failed(&format!(
            "address {missing} of interface {ifname} (it is missing)"
        ));
    }
    if report.gateway.is_none() || !report.gateway_resolved {
        return failed(&format!("the default route of interface {ifname}"));
    }
    expected
        .host_interface
        .as_deref()
        .map_or(Ok(()), check_host)
}

fn check_host(name: &str) -> Result<(), Failure> {
    let found = Netlink::new()
        .and_then(|mut netlink| netlink.link(name))
        .map_err(reading)?;
    match found {
        Some(link) if link.up => Ok(()),
        Some(_) => failed(&format!("interface {name} of the node (it is down)")),
        None => failed(&format!("interface {name} of the node (it is missing)")),
    }
}

fn reading(source: link::Error) -> Failure {
    Failure::Link {
        doing: "reading the pod's interface",
        source,
    }
}

fn failed(what: &str) -> Result<(), Failure> {
    Err(Failure::CheckFailed(what.to_owned()))
}
