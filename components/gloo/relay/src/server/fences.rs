//! One live stream per cluster in this process. Over all processes the [hub](super::Hub) decides.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use gloo_api::ClusterName;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Stream;
use crate::{
    proto::{Refused, refused::Code},
    session::{Claim, outranks},
};

/// How long a fenced stream may take to be gone before its follower is served.
const GONE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Live {
    stream: Stream,
    fence: watch::Sender<Option<Refused>>,
    gone: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    live: HashMap<ClusterName, Live>,
}

/// The live streams of this process.
#[derive(Debug, Default)]
pub(super) struct Fences {
    state: Mutex<State>,
}

/// A stream's place; its end makes room.
pub(super) struct Place<'a> {
    fences: &'a Fences,
    pub(super) stream: Stream,
    pub(super) fenced: watch::Receiver<Option<Refused>>,
    gone: CancellationToken,
}

impl Fences {
    /// Makes the stream its cluster's, and ends the one before; or refuses it, for the other agent started later.
    pub(super) async fn enter(&self, stream: Stream) -> Result<Place<'_>, Refused> {
        let (place, before) = self.swap(stream)?;
        if let Some(gone) = before
            && tokio::time::timeout(GONE, gone.cancelled()).await.is_err()
        {
            tracing::warn!(cluster = %place.stream.cluster, "the stream before does not end");
        }
        Ok(place)
    }

    fn swap(&self, mut stream: Stream) -> Result<(Place<'_>, Option<CancellationToken>), Refused> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = state.live.get(&stream.cluster)
            && !outranks(&stream.claim, &live.stream.claim)
        {
            return Err(fenced(&live.stream.cluster, &live.stream.claim));
        }
        state.last += 1;
        stream.id = state.last;
        let (fence, receiver) = watch::channel(None);
        let gone = CancellationToken::new();
        let live = Live {
            stream: stream.clone(),
            fence,
            gone: gone.clone(),
        };
        let before = state.live.insert(stream.cluster.clone(), live);
        drop(state);
        let before = before.map(|before| {
            before
                .fence
                .send_replace(Some(fenced(&stream.cluster, &stream.claim)));
            if before.stream.claim.instance != stream.claim.instance {
                tracing::warn!(
                    cluster = %stream.cluster,
                    now = stream.claim.instance,
                    before = before.stream.claim.instance,
                    "two agents speak for one cluster; the earlier started one is fenced"
                );
            }
            before.gone
        });
        let place = Place {
            fences: self,
            stream,
            fenced: receiver,
            gone,
        };
        Ok((place, before))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gone.cancel();
        let mut state = self
            .fences
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ours = state.live.get(&self.stream.cluster);
        if ours.is_some_and(|live| live.stream.id == self.stream.id) {
            state.live.remove(&self.stream.cluster);
        }
    }
}

/// What an agent is told when another one is served.
pub fn fenced(cluster: &ClusterName, by: &Claim) -> Refused {
    Refused {
        code: Code::Fenced.into(),
        reason: format!(
            "the agent {:?} speaks for cluster {cluster}; if it is not yours, revoke the cluster's certificates",
            by.instance
        ),
    }
}
