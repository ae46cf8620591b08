//! The service `Relay`.

use std::{pin::Pin, sync::Arc};

use futures::Stream as Messages;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{Hub, Standing, connection::Remote, fences::Fences, stream::Served};
use crate::{
    proto::{FromAgent, FromServer, Refused, refused::Code, relay_server::Relay},
    tls::Peer,
};

/// Serves the streams of agents.
pub(super) struct RelayService {
    pub(super) hub: Arc<dyn Hub>,
    pub(super) fences: Arc<Fences>,
    pub(super) version: Arc<str>,
    pub(super) instance: Arc<str>,
    pub(super) closing: CancellationToken,
}

#[tonic::async_trait]
impl Relay for RelayService {
    type ConnectStream = Pin<Box<dyn Messages<Item = Result<FromServer, Status>> + Send>>;

    async fn connect(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let peer = peer(&request)?;
        let standing = self.hub.standing(&peer.cluster).await;
        // One message at a time: what a slow agent does not read waits as a key in a table, not as a message here.
        let (sender, messages) = mpsc::channel(1);
        if let Err(refused) = judge(&peer, &standing) {
            tracing::warn!(cluster = %peer.cluster, reason = refused.reason, "an agent was refused");
            self.hub.refused(&peer.cluster, refused.code());
            let last = crate::session::ServerEnd::Refused(refused).message();
            let _ = sender.try_send(Ok(last));
        } else {
            let served = Served {
                hub: self.hub.clone(),
                fences: self.fences.clone(),
                version: self.version.clone(),
                instance: self.instance.clone(),
                closing: self.closing.clone(),
                peer,
            };
            tokio::spawn(served.run(request.into_inner(), sender));
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }
}

/// The agent that asks, by its certificate.
pub(super) fn peer<T>(request: &Request<T>) -> Result<Peer, Status> {
    let remote = request.extensions().get::<Remote>();
    match remote.and_then(|remote| remote.peer.clone()) {
        Some(Ok(peer)) => Ok(peer),
        Some(Err(error)) => Err(Status::permission_denied(error.to_string())),
        None => Err(Status::unauthenticated(
            "this needs a client certificate; enrol the cluster first",
        )),
    }
}

/// Whether the certificate is still good for its cluster.
pub(super) fn judge(peer: &Peer, standing: &Standing) -> Result<(), Refused> {
    let refused = |code: Code, reason: String| {
        Err(Refused {
            code: code.into(),
            reason,
        })
    };
    let cluster = &peer.cluster;
    match standing {
        Standing::Unknown => refused(
            Code::UnknownCluster,
            format!("cluster {cluster} is not registered; run gloonet cluster register {cluster}"),
        ),
        Standing::Known { epoch, .. } if peer.epoch < *epoch => refused(
            Code::Revoked,
            format!(
                "the certificates of cluster {cluster} were revoked; to enrol it again run gloonet cluster register {cluster}"
            ),
        ),
        Standing::Known {
            cluster_uid: Some(uid),
            ..
        } if *uid != peer.cluster_uid => refused(
            Code::ClusterUid,
            format!(
                "cluster {cluster} was enrolled with UID {uid}, not {}",
                peer.cluster_uid
            ),
        ),
        // The name was given away, and epochs count from the start again: the certificate is of whoever had it before.
        Standing::Known {
            cluster_uid: None, ..
        } => refused(
            Code::Revoked,
            format!(
                "nobody has enrolled as cluster {cluster} since it was registered; to enrol it run gloonet cluster register {cluster}"
            ),
        ),
        // Nor is it refused for good: what was read of the registration may be old.
        Standing::Known { epoch, .. } if peer.epoch > *epoch => refused(
            Code::Busy,
            format!(
                "cluster {cluster} is registered at epoch {epoch}, the certificate is of epoch {}; ask again",
                peer.epoch
            ),
        ),
        Standing::Known { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a certificate of west is told: of this epoch and UID, where the name is registered so.
    fn told(of: (u64, &str), registered: (u64, Option<&str>)) -> Option<Code> {
        let peer = Peer {
            cluster: "west".parse().unwrap(),
            cluster_uid: of.1.to_owned(),
            epoch: of.0,
            not_before: 0,
            not_after: 0,
        };
        let standing = Standing::Known {
            epoch: registered.0,
            cluster_uid: registered.1.map(str::to_owned),
        };
        judge(&peer, &standing).err().map(|refused| refused.code())
    }

    #[test]
    fn a_certificate_opens_what_its_cluster_enrolled_as_and_nothing_older() {
        assert_eq!(told((2, "u-1"), (2, Some("u-1"))), None);
        assert_eq!(told((1, "u-1"), (2, Some("u-1"))), Some(Code::Revoked));
        assert_eq!(told((2, "u-1"), (2, Some("u-2"))), Some(Code::ClusterUid));
    }

    #[test]
    fn a_name_that_was_registered_anew_is_nobodys_before_somebody_enrols() {
        assert_eq!(told((0, "u-1"), (0, None)), Some(Code::Revoked));
        assert_eq!(told((3, "u-1"), (0, None)), Some(Code::Revoked));
    }

    #[test]
    fn a_certificate_of_a_later_epoch_than_is_known_waits() {
        assert_eq!(told((3, "u-1"), (0, Some("u-1"))), Some(Code::Busy));
    }
}
