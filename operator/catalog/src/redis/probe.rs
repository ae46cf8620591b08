use gloonet_api::MESH_NAMESPACE;
use gloonet_api::redis::RedisMode;

use super::{PORT, READ_WRITE, WORKLOAD};
use crate::probe::RedisTls;
use crate::{Input, PodSelector, Probe, ProbeKind, ProbeTarget, RedisLogin, SecretKeyRef, trust};

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
    let key = |secret: &str, key: &str| SecretKeyRef::new(MESH_NAMESPACE, secret, key);
    let (target, credentials, tls) = match (input.spec.redis.mode, &input.spec.redis.external) {
        (RedisMode::Managed, _) => {
            let pods = PodSelector::new(WORKLOAD.namespace, WORKLOAD.pod_label, PORT);
            (
                ProbeTarget::EachPod(pods),
                Some(trust::REDIS_AUTH.to_owned()),
                None,
            )
        }
        (RedisMode::External, Some(external)) => {
            let ca = external
                .tls
                .ca_secret
                .as_ref()
                .map(|secret| key(secret, "ca.crt"));
            let tls = external.tls.state.is_enabled().then_some(RedisTls { ca });
            (
                ProbeTarget::Address(external.address.clone()),
                external.credentials_secret.clone(),
                tls,
            )
        }
        (RedisMode::External | RedisMode::Disabled, _) => return None,
    };
    let login = RedisLogin {
        username: credentials.as_deref().map(|secret| key(secret, "username")),
        password: credentials.as_deref().map(|secret| key(secret, "password")),
        tls,
    };
    Some((target, login))
}
