//! `/v1/identity`: every number that can be in the datapath, and what it stands for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cilium_api::{CiliumIdentity, NumericIdentity};
use cilium_cni::model::identity::Identity;
use cilium_policy::key::{cluster_block, world_block};
use ipnet::Ipv4Net;

use crate::agent::{Agent, blocking};
use crate::api::refuse;

type All = BTreeMap<u32, Identity>;

pub async fn list(State(agent): State<Arc<Agent>>) -> Response {
    match all(agent).await {
        Some(all) => Json(all.into_values().collect::<Vec<_>>()).into_response(),
        None => panicked(),
    }
}

pub async fn get(State(agent): State<Arc<Agent>>, Path(id): Path<u32>) -> Response {
    match all(agent).await.map(|mut all| all.remove(&id)) {
        Some(Some(identity)) => Json(identity).into_response(),
        Some(None) => refuse(
            StatusCode::NOT_FOUND,
            format!("no identity {id} is known on this node"),
        ),
        None => panicked(),
    }
}

fn panicked() -> Response {
    refuse(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the agent panicked on its identities; see its log",
    )
}

/// Blocks of addresses are behind a lock that a pass over all policies may hold for a while.
async fn all(agent: Arc<Agent>) -> Option<All> {
    let read = move || {
        let prefixes = agent
            .policies
            .with(|repository| repository.prefixes().clone());
        let objects = agent.watched.identities.list();
        reserved()
            .chain(objects.iter().filter_map(|object| of_pods(object)))
            .chain(prefixes.iter().flat_map(of_block))
            .map(|identity| (identity.id, identity))
            .collect()
    };
    blocking(read).await
}

/// A block of addresses that policies name stands for those outside the cluster under one number, for those inside
/// under another.
fn of_block((prefix, number): (&Ipv4Net, &u32)) -> [Identity; 2] {
    let cidr = format!("cidr:{prefix}");
    [
        (
            world_block(*number),
            vec![cidr.clone(), "reserved:world".to_owned()],
        ),
        (
            cluster_block(*number),
            vec![cidr, "reserved:cluster".to_owned()],
        ),
    ]
    .map(|(id, labels)| Identity {
        id,
        labels,
        labels_sha256: String::new(),
    })
}

/// The numbers that mean the same in every cluster.
fn reserved() -> impl Iterator<Item = Identity> {
    let last = NumericIdentity::INGRESS.0;
    (NumericIdentity::HOST.0..=last).filter_map(|id| {
        let name = NumericIdentity(id).reserved_name()?;
        let mut labels = vec![format!("reserved:{name}")];
        if NumericIdentity(id) == NumericIdentity::KUBE_APISERVER {
            labels.push("reserved:remote-node".to_owned());
        }
        Some(Identity {
            id,
            labels,
            labels_sha256: String::new(),
        })
    })
}

fn of_pods(object: &CiliumIdentity) -> Option<Identity> {
    Some(Identity {
        id: object.number()?.0,
        labels: object.security_labels.to_list(),
        labels_sha256: object.security_labels.hash(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_identities_have_ciliums_numbers_and_names() {
        let names: Vec<(u32, String)> = reserved()
            .map(|identity| (identity.id, identity.labels.join(" ")))
            .collect();
        assert_eq!(names[0], (1, "reserved:host".to_owned()));
        assert_eq!(
            names[6],
            (7, "reserved:kube-apiserver reserved:remote-node".to_owned())
        );
        assert_eq!(names.len(), 8);
    }

    #[test]
    fn a_block_of_addresses_is_named_by_its_prefix_under_both_numbers() {
        let blocks = of_block((&"10.0.0.0/8".parse().unwrap(), &5));
        assert_eq!(
            blocks.clone().map(|block| block.id),
            [1 << 24 | 5, 3 << 24 | 5]
        );
        assert_eq!(blocks[0].labels, ["cidr:10.0.0.0/8", "reserved:world"]);
    }
}
