//! `/v1/identity`: every number that can be in the datapath, and what it stands for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cilium_api::{CiliumIdentity, NumericIdentity};
use cilium_cni::model::identity::Identity;

use crate::agent::Agent;
use crate::api::refuse;

pub async fn list(State(agent): State<Arc<Agent>>) -> Json<Vec<Identity>> {
    Json(all(&agent).into_values().collect())
}

pub async fn get(State(agent): State<Arc<Agent>>, Path(id): Path<u32>) -> Response {
    match all(&agent).remove(&id) {
        Some(identity) => Json(identity).into_response(),
        None => refuse(
            StatusCode::NOT_FOUND,
            format!("no identity {id} is known on this node"),
        ),
    }
}

fn all(agent: &Agent) -> BTreeMap<u32, Identity> {
    let objects = agent.watched.identities.list();
    reserved()
        .chain(objects.iter().filter_map(|object| of_pods(object)))
        .map(|identity| (identity.id, identity))
        .collect()
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
}
