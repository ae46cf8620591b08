//! The watches: each kind fails on its own, and starts anew.

use std::sync::Arc;

use futures::StreamExt;
use gloonet_daemon::watching::{Pauses, interrupted};
use kube::{
    Api, Client,
    api::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    kinds::{self, Watched},
    observed::Observed,
};

/// Watches every kind until `closing`.
pub fn start(
    client: &Client,
    observed: &Arc<Observed>,
    closing: &CancellationToken,
    tasks: &mut JoinSet<()>,
) {
    for watched in kinds::all() {
        let (client, observed) = (client.clone(), observed.clone());
        let closing = closing.clone();
        tasks.spawn(async move {
            while !closing.is_cancelled() {
                // A panic ends this watch, not the others and not the program.
                let watch = tokio::spawn(follow(client.clone(), observed.clone(), watched));
                let stop = watch.abort_handle();
                tokio::select! {
                    () = closing.cancelled() => stop.abort(),
                    ended = watch => if let Err(failure) = ended {
                        tracing::error!(kind = watched.kind, error = %failure, "a watch panicked and starts anew");
                    }
                }
            }
        });
    }
}

async fn follow(client: Client, observed: Arc<Observed>, watched: Watched) {
    let resource = watched.resource();
    let (api, config) = match watched.only {
        None => (
            Api::<DynamicObject>::all_with(client, &resource),
            watcher::Config::default(),
        ),
        Some((namespace, name)) => (
            Api::namespaced_with(client, namespace, &resource),
            watcher::Config::default().fields(&format!("metadata.name={name}")),
        ),
    };
    let mut events = watcher(api, config).backoff(Pauses::default()).boxed();
    let mut failing = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                failing = false;
                if let Err(reason) = observed.take(&watched, event) {
                    tracing::warn!(kind = watched.kind, reason, "an object is left out");
                }
            }
            // Once per failure, not once per attempt.
            Err(_) if failing => {}
            Err(error) => {
                failing = true;
                say(&watched, &error);
            }
        }
    }
}

fn say(watched: &Watched, error: &watcher::Error) {
    let missing = matches!(
        error,
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404
    );
    if missing {
        tracing::warn!(
            kind = watched.kind,
            group = watched.group,
            "the cluster does not know this kind yet; nothing is sent before it does: is its CRD installed?"
        );
    } else {
        interrupted(watched.kind, error);
    }
}
