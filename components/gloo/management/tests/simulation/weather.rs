//! Storms of faults, and calm after each of them.

use std::time::Duration;

use bytes::Bytes;
use gloo_relay::{key::ObjectKey, table::Source};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{people::CLUSTERS, world::World};

/// What a cluster may need to be as it is to be once nothing is in the way: its agent may just have been fenced, or refused for the
/// fifth time.
const WINDOW: Duration = Duration::from_mins(5);

impl World {
    /// Faults and what people write, for a minute or less. The error is a broken invariant.
    pub(crate) fn storm(&mut self) -> Result<(), String> {
        let end = self.now + Duration::from_secs(15) + self.random.millis(45_000);
        while self.now < end {
            if self.random.once_in(5) {
                self.fault();
            }
            self.people_write(12);
            self.step()?;
        }
        Ok(())
    }

    /// Nothing is in the way any more. People write for a while, and confirm what is held; then everything is as it is to be within
    /// the window.
    pub(crate) fn calm(&mut self) -> Result<(), String> {
        self.clear();
        let quiet = self.now + Duration::from_secs(5);
        let end = quiet + WINDOW;
        for round in 1_u32.. {
            if self.now < quiet {
                self.people_write(12);
            }
            self.step()?;
            if self.now < quiet || round % 10 != 0 {
                continue;
            }
            self.confirm();
            let Some(differs) = self.differs() else { break };
            if self.now > end {
                return Err(self.say(&format!("no agreement: {differs}")));
            }
        }
        Ok(())
    }

    fn people_write(&mut self, times: u64) {
        if !self.random.once_in(times) {
            return;
        }
        let apis: Vec<_> = self.clusters.iter().map(|cluster| &cluster.api).collect();
        let order = match self.random.below(12) {
            0 => Some(self.people.much()),
            1 => self.people.meddle(&apis),
            _ => self.people.change(&apis),
        };
        if let Some(order) = order {
            self.obey(order);
        }
    }

    fn fault(&mut self) {
        let cluster = self.random.index(CLUSTERS.len());
        let end = self.now + self.random.millis(60_000);
        let fault = self.random.below(18);
        self.note(&format!("fault {fault} for {cluster} until {end:?}"));
        match fault {
            0 => self.network.cut(self.now, |wire| wire.cluster == cluster),
            1 => self.network.silence(self.now, end),
            2 => self.network.lossy = !self.network.lossy,
            3 => self.network.trouble(),
            4 => self.kill(),
            5 => self.redis().fall(end),
            6 => self.redis().wipe(),
            7 => self.redis().back_up(),
            8 => self.restore_redis(),
            9 => self.redis().slow_until = end,
            10 => self.restart_agent(cluster),
            11 if self.clusters[cluster].agents.len() < 3 => self.start_agent(cluster),
            12 => {
                if let Some(agent) = self.clusters[cluster].agents.last_mut() {
                    agent.stuck_until = end;
                }
            }
            13 => self.clusters[cluster].api.away_until = end,
            14 => {
                if let Some(agent) = self.clusters[cluster].agents.last_mut() {
                    agent.lose_watch();
                }
            }
            15 => {
                let control = &mut self.clusters[cluster].control;
                control.kill_switch = !control.kill_switch;
            }
            16 => self.go_mad(cluster),
            17 => self.enrol_last(),
            _ => {}
        }
    }

    /// One replica dies, or both do; sometimes Redis has lost everything when they come back. Not while Redis has less than they
    /// know: what they told agents then is forgotten, and a server that starts cannot tell.
    fn kill(&mut self) {
        if !self.redis().is_current() {
            return;
        }
        let both = self.random.once_in(3);
        let one = self.random.index(self.pods.len());
        for number in 0..self.pods.len() {
            if both || number == one {
                let pod = &mut self.pods[number];
                (pod.replica, pod.starts) = (None, self.now + self.random.millis(20_000));
                pod.skew = SignedDuration::from_secs(i64::try_from(self.random.below(20)).unwrap());
                self.network.cut(self.now, |wire| wire.replica == number);
            }
        }
        if both && self.random.once_in(2) {
            self.redis().wipe();
        }
    }

    /// Not while a replica starts: who finds what is old and knows nothing else cannot tell, either.
    fn restore_redis(&mut self) {
        if self.pods.iter().all(|pod| pod.replica.is_some()) {
            self.redis().restore();
        }
    }

    fn restart_agent(&mut self, cluster: usize) {
        self.network.cut(self.now, |wire| wire.cluster == cluster);
        self.clusters[cluster].agents.clear();
        self.start_agent(cluster);
    }

    pub(crate) fn enrol_last(&mut self) {
        let last = CLUSTERS.len() - 1;
        if !self
            .registered
            .clusters
            .contains_key(&self.clusters[last].name)
        {
            self.enrol(last);
        }
    }

    /// A server in the wrong hands desires what it may not.
    fn go_mad(&mut self, cluster: usize) {
        let name = self.clusters[cluster].name.clone();
        for pod in &self.pods {
            let Some(replica) = &pod.replica else {
                continue;
            };
            replica.shared.channels(&name, |channels| {
                channels.desired.send_if_modified(|source| {
                    source
                        .as_mut()
                        .map(|source| forbidden(source, name.as_str()))
                        .is_some()
                });
            });
        }
        self.mad = true;
    }

    /// What is in the way goes. Of several agents the last one stays.
    fn clear(&mut self) {
        self.network.heal();
        self.redis().heal();
        for pod in &mut self.pods {
            pod.starts = pod.starts.min(self.now);
        }
        for cluster in &mut self.clusters {
            let others = cluster.agents.len().saturating_sub(1);
            for agent in cluster.agents.drain(..others) {
                if let Some(stream) = agent.stream {
                    self.network.cut_one(self.now, stream);
                }
            }
            cluster.api.away_until = self.now;
            cluster.control.kill_switch = false;
            for agent in &mut cluster.agents {
                agent.stuck_until = self.now;
            }
        }
    }
}

/// Other kinds, protected namespaces, other clusters' labels, somebody's own policy.
fn forbidden(source: &mut Source, cluster: &str) {
    let labels = |cluster: &str| {
        json!({
            "agent.gloo.solo.io": "gloo-mesh", "owner.gloo.solo.io/name": "gloo-mesh",
            "reconciler.mesh.gloo.solo.io/name": "translator", "relay.solo.io/cluster": cluster,
        })
    };
    let policy = ("cilium.io/v2", "CiliumNetworkPolicy");
    for (kind, namespace, name, labels) in [
        (policy, "kube-system", "open", labels(cluster)),
        (policy, "shop", "open", labels("elsewhere")),
        (policy, "shop", "own", labels(cluster)),
        (("v1", "Secret"), "shop", "secret", labels(cluster)),
    ] {
        add(source, kind, namespace, name, &labels);
    }
}

fn add(source: &mut Source, kind: (&str, &str), namespace: &str, name: &str, labels: &Value) {
    let (api, kind) = kind;
    let object = json!({
        "apiVersion": api, "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"endpointSelector": {}, "ingress": [{"fromEntities": ["all"]}]},
    });
    let key = ObjectKey::new(api, kind, namespace, name).unwrap();
    source.set(key, Bytes::from(object.to_string()));
}
