use gloonet_api::MESH_NAMESPACE;

use super::LOG;
use crate::{
    ClientTls, Input, LogArrives, Probe, ProbeKind, ProbeTarget, SecretKeyRef, redis, trust,
};

/// Sends a log record the way every other one goes, and looks for it in Redis.
pub(super) fn probe(input: &Input, target: ProbeTarget) -> Option<Probe> {
    if !input.logs() {
        return None;
    }
    let (redis, login) = redis::access(input)?;
    let key = |key| SecretKeyRef::new(MESH_NAMESPACE, trust::COLLECTOR_TLS, key);
    let tls = ClientTls {
        certificate: key("tls.crt"),
        key: key("tls.key"),
        authority: key("ca.crt"),
        server_name: trust::GATEWAY_SERVER.to_owned(),
    };
    let kind = ProbeKind::LogArrives(Box::new(LogArrives {
        tls,
        cluster: input.cluster_name().to_owned(),
        redis,
        login,
    }));
    Some(Probe {
        name: LOG.to_owned(),
        target,
        kind,
    })
}
