//! Taking everything away again, because the `GlooNetwork` was deleted.

use gloonet_api::GlooNetwork;
use gloonet_cluster::{EventKind, Fault, Source, observe};
use gloonet_plan::{graph, removal, render, report};
use jiff::{SignedDuration, Timestamp};

use crate::{controller::Controller, schedule::Next};

/// Between two looks while objects are going.
const LOOK: SignedDuration = SignedDuration::from_secs(2);

impl Controller {
    /// One turn of the uninstall.
    pub(crate) async fn uninstall(
        &mut self,
        platform: &GlooNetwork,
        now: Timestamp,
    ) -> Result<Next, Fault> {
        self.probes.clear();
        self.hands
            .inventory()
            .entries
            .keys()
            .map(Source::of)
            .for_each(|source| self.eyes.follow(source));
        let order = graph::order(&render::nothing_wanted()).unwrap_or_default();
        let live = self.hands.current(self.eyes.read(observe::live), now);
        let previous = self.previous(platform);
        let look = removal::uninstall(&order, &live, self.hands.inventory(), now, |name| {
            report::began(&previous, name)
        });
        let done = self.hands.run(&look.steps, &live, now).await;
        self.metrics.wrote(&done.results);
        if done.release {
            return self.release(platform, &look).await;
        }
        self.hands.store().await?;
        let generation = platform.metadata.generation;
        let status = report::leaving(&previous, generation, &platform.spec, &look, now);
        self.metrics.told(&status);
        if status != previous {
            self.cluster.store_status(&status).await?;
            self.stored = Some(status);
        }
        Ok(Next {
            retry: done.retry,
            wake: Some(now + LOOK),
            ..Next::default()
        })
    }

    async fn release(
        &mut self,
        platform: &GlooNetwork,
        look: &removal::Uninstall,
    ) -> Result<Next, Fault> {
        if !look.abandoned.is_empty() {
            let names: Vec<String> = look.abandoned.iter().map(ToString::to_string).collect();
            let note = format!(
                "not gone after {} s and left to Kubernetes: {}",
                removal::PATIENCE.as_secs(),
                names.join(", ")
            );
            self.events
                .say(
                    platform,
                    EventKind::Warning,
                    "UninstallIncomplete",
                    "Delete",
                    &note,
                )
                .await;
        }
        let stays = report::stays(&look.kept, &platform.spec);
        let note = format!("the platform is removed{stays}");
        self.events
            .say(platform, EventKind::Normal, "Uninstalled", "Delete", &note)
            .await;
        tracing::info!(note, "uninstalled");
        self.hands.forget_all().await?;
        self.cluster.hold(platform, false).await?;
        self.listed = None;
        self.accepted = None;
        self.rendered = None;
        self.stored = None;
        Ok(Next {
            settled: true,
            ..Next::default()
        })
    }
}
