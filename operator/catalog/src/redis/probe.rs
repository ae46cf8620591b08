use gloonet_api::MESH_NAMESPACE;

use super::{PORT, Place, READ_WRITE, WORKLOAD};
use crate::trust::RedisUser;
use crate::{Input, PodSelector, Probe, ProbeKind, ProbeTarget, RedisLogin, SecretKeyRef};

const PROBE_KEY: &str = "gloonet:probe";

pub(super) fn all(input: &Input) -> Vec<Probe> {
    let Some((target, login)) = access(input) else {
        return Vec::new();
    };
    let kind = ProbeKind::RedisReadWrite {
        login,
        probe_key: format!("{PROBE_KEY}:{}", input.cluster_name()),
    };
    vec![Probe {
        name: READ_WRITE.to_owned(),
        target,
        kind,
    }]
}

/// Where Redis is and how to log in; `None` where there is none.
pub(crate) fn access(input: &Input) -> Option<(ProbeTarget, RedisLogin)> {
    let place = Place::of(input)?;
    let target = match place {
        // Its pods, so that neither DNS nor Services need to work.
        Place::Ours => ProbeTarget::EachPod(PodSelector::new(
            WORKLOAD.namespace,
            WORKLOAD.pod_label,
            PORT,
        )),
        Place::Theirs(_) => ProbeTarget::Address(place.address()),
    };
    let key = |secret: &str, key: &str| SecretKeyRef::new(MESH_NAMESPACE, secret, key);
    let credentials = |name: &str| {
        let secret = place.credentials(RedisUser::Operator);
        secret.map(|secret| key(secret, name))
    };
    let login = RedisLogin {
        username: credentials("username"),
        password: credentials("password"),
        authority: place.authority().map(|secret| key(secret, "ca.crt")),
    };
    Some((target, login))
}
